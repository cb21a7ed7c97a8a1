// However long a login may be idle, a minute's error in it is the most.
const MOST = 60_000;

/** How long a login must have been unused before being used is written down, in milliseconds: a sixtieth of its idle time. */
export function touchAfter(idle: number): number {
  return Math.min(Math.floor(idle / 60), MOST);
}
