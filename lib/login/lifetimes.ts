// However long a login may be idle, a minute's error in it is the most.
const MOST = 60_000;

/** How long a login must have been unused before being used is written down, in milliseconds: a sixtieth of its idle time. */
export function touchAfter(idle: number): number {
  return Math.min(Math.floor(idle / 60), MOST);
}

/** A verifier may take a token for so long after its end, and clocks may differ as much: so much longer it is known as revoked. Milliseconds. */
export const LEEWAY = 60_000;
