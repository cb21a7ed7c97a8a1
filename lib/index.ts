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
export { type RequireAuthOptions, requireAuth, requireRole, requireScope } from './guards.ts';
export { type HybridAuth, type HybridAuthOptions, hybridAuth, type TokenResponse } from './hybrid-auth.ts';
export { type JwtAuthOptions, jwtAuth } from './jwt-auth.ts';
export type { AuthStore } from './login/auth-store.ts';
export type { LoginModeOptions, ModeOptions } from './mode-options.ts';
export type { Duration } from './options.ts';
export { type Auth0Options, auth0 } from './providers/auth0.ts';
export { type ClerkOptions, clerk } from './providers/clerk.ts';
export { type CognitoOptions, cognito } from './providers/cognito.ts';
export { type FirebaseOptions, firebase } from './providers/firebase.ts';
export { type KeycloakOptions, keycloak } from './providers/keycloak.ts';
export { type KindeOptions, kinde } from './providers/kinde.ts';
export { type SupabaseOptions, supabase } from './providers/supabase.ts';
export type { CookieSettings } from './request/cookie-settings.ts';
export { type AuthErrorHandlerOptions, authErrorHandler } from './routes/error-handler.ts';
export { type Introspection, type IntrospectionOptions, introspectionHandler } from './routes/introspection.ts';
export { jwksHandler } from './routes/jwks.ts';
export { type RevocationOptions, revocationHandler } from './routes/revocation.ts';
export { type SessionAuthOptions, sessionAuth } from './session-auth.ts';
export type { RedisConnection } from './store/redis-connection.ts';
export { memoryStore, type RedisStoreOptions, redisStore } from './stores.ts';
export { type DiscoverOptions, discover } from './token/discovery.ts';
export type {
  Alg,
  Key,
  KeyInput,
  Reading,
  SigningKeys,
  TrustedIssuer,
  VerificationKeys,
} from './token/keys.ts';
export { localKeys } from './token/local-keys.ts';
export { type RemoteKeysOptions, remoteKeys } from './token/remote-keys.ts';
export { type TokenIssuerOptions, tokenIssuer } from './token-issuer.ts';
