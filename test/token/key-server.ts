import { createPublicKey, type KeyObject } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Alg } from '../../lib/token/keys.ts';
import { serve } from '../support/http-server.ts';
import { keyFor } from './key-material.ts';
import { makeToken } from './make-token.ts';

export type Answer = (req: IncomingMessage, res: ServerResponse) => void;

/** A key pair of an issuer under test. */
export interface IssuerKey {
  readonly kid: string;
  readonly alg: Alg;
  readonly key: KeyObject;
  /** What is published of it. */
  readonly jwk: Readonly<Record<string, unknown>>;
  /** A token by it. */
  sign(claims: object, header?: object): string;
}

export function issuerKey(kid: string, alg: Alg = 'ES256', jwk: object = {}): IssuerKey {
  const key = keyFor(alg);
  const published = createPublicKey(key).export({ format: 'jwk' });
  return {
    kid,
    alg,
    key,
    jwk: { ...published, kid, alg, use: 'sig', ...jwk },
    sign: (claims, header) => makeToken(alg, key, { alg, kid, typ: 'at+jwt', ...header }, claims),
  };
}

/** An issuer's key server, which can be told to misbehave. */
export interface KeyServer {
  readonly url: string;
  readonly port: number;
  /** The paths asked for, one by one. */
  readonly asked: string[];
  /** What it publishes. */
  keys: readonly (IssuerKey | object)[];
  /** Headers of a good answer. */
  headers: Readonly<Record<string, string>>;
  /** Answers in place of the good answer, until undefined. */
  fault: Answer | undefined;
  /** More paths, each with its JSON. */
  readonly documents: Map<string, unknown>;
  close(): Promise<void>;
}

/** It serves its JWK Set at every path that `documents` does not have. */
export async function startKeyServer(...keys: readonly (IssuerKey | object)[]): Promise<KeyServer> {
  const { url, port, close } = await serve((req, res) => {
    const path = req.url ?? '';
    keyServer.asked.push(path);
    if (keyServer.fault !== undefined) return keyServer.fault(req, res);
    const jwks = { keys: keyServer.keys.map((key) => ('jwk' in key ? key.jwk : key)) };
    res.writeHead(200, { 'Content-Type': 'application/json', ...keyServer.headers });
    res.end(JSON.stringify(keyServer.documents.has(path) ? keyServer.documents.get(path) : jwks));
  });
  const keyServer: KeyServer = {
    url,
    port,
    asked: [],
    keys,
    headers: {},
    fault: undefined,
    documents: new Map(),
    close,
  };
  return keyServer;
}

/** Claims that any verifier of ours takes, for ten minutes. */
export function goodClaims(claims: object): object {
  const now = Math.floor(Date.now() / 1_000);
  return { sub: 'ann', iat: now, exp: now + 600, jti: `jti-${Math.random()}`, ...claims };
}
