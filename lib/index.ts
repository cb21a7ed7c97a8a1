export type { AuditEvent } from './audit.ts';
export {
  type Auth,
  type Claims,
  getAuth,
  type Identity,
  type Login,
  type LoginMode,
  type Middleware,
  type Mode,
} from './auth.ts';
export {
  AuthError,
  type AuthErrorCode,
  CrossSiteRequest,
  InsufficientScope,
  InvalidGrant,
  InvalidRequest,
  InvalidToken,
  type InvalidTokenReason,
  StoreUnavailable,
  Unauthenticated,
} from './errors.ts';
export type { Duration } from './options.ts';
