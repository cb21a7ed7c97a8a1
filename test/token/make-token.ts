import { constants, createHmac, type KeyObject, sign } from 'node:crypto';

/** What goes into a segment: an object as JSON, or these very characters or bytes. */
export type Segment = object | string | Buffer;

/** Signs whatever it is given, by node:crypto alone: the suite under test would refuse to make most of these. */
export function makeToken(alg: string, key: KeyObject, header: Segment, payload: Segment): string {
  const signedPart = `${segment(header)}.${segment(payload)}`;
  return `${signedPart}.${makeSignature(alg, key, signedPart).toString('base64url')}`;
}

/** The raw signature of an algorithm. */
export function makeSignature(alg: string, key: KeyObject, signedPart: string): Buffer {
  const data = Buffer.from(signedPart);
  const hash = `sha${alg.slice(-3)}`;
  switch (alg.slice(0, 2)) {
    case 'HS':
      return createHmac(hash, key).update(data).digest();
    case 'RS':
      return sign(hash, data, key);
    case 'PS':
      return sign(hash, data, {
        key,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
      });
    case 'ES':
      return sign(hash, data, { key, dsaEncoding: 'ieee-p1363' });
    default:
      return sign(null, data, key);
  }
}

export function segment(content: Segment): string {
  if (Buffer.isBuffer(content)) return content.toString('base64url');
  return Buffer.from(typeof content === 'string' ? content : JSON.stringify(content)).toString('base64url');
}
