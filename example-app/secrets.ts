import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { localKeys, type SigningKeys } from 'portcullis';

export interface Secrets {
  /** Signs session cookies and refresh tokens. */
  readonly secret: string;
  /** Signs access tokens. */
  readonly keys: SigningKeys;
  /** For whoever started the example. */
  readonly say: string;
}

/** SECRET and SIGNING_KEY (an Ed25519 private key, as PEM) from the environment; what is not there is made for this run. */
export function findSecrets(): Secrets {
  const { SECRET, SIGNING_KEY } = process.env;
  const made = [SECRET ? [] : 'SECRET', SIGNING_KEY ? [] : 'SIGNING_KEY'].flat();
  const key = SIGNING_KEY ? createPrivateKey(SIGNING_KEY) : generateKeyPairSync('ed25519').privateKey;
  return {
    secret: SECRET || randomBytes(32).toString('base64url'),
    keys: localKeys([{ kid: thumbprint(key), alg: 'EdDSA', key }]),
    say:
      made.length === 0
        ? 'SECRET and SIGNING_KEY are taken from the environment.'
        : `Not in the environment, and so made for this run only: ${made.join(' and ')}. What they signed ends with it.`,
  };
}

/** The same key has the same name in every process. */
function thumbprint(key: KeyObject): string {
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('base64url').slice(0, 16);
}
