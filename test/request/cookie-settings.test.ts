import { expect, test } from 'vitest';
import { settleCookieKind } from '../../lib/request/cookie-settings.ts';

const namesOf = (settings: Parameters<typeof settleCookieKind>[1]) =>
  ['access', 'refresh'].map((kind) => settleCookieKind('hybridAuth', settings, kind).name);

test.each([
  [undefined, ['__Host-access', '__Host-refresh']],
  [{ secure: false }, ['access', 'refresh']],
  [{ path: '/app' }, ['access', 'refresh']],
  [{ name: 'shop' }, ['shop-access', 'shop-refresh']],
  [{ name: '__Host-shop' }, ['__Host-shop-access', '__Host-shop-refresh']],
] as const)('C01, C02: the cookies of hybridAuth under %j are %j', (settings, names) => {
  expect(namesOf(settings)).toEqual(names);
});

test('A-S27: a stem whose prefix the settings break is refused', () => {
  expect(() => namesOf({ name: '__Host-shop', path: '/app' })).toThrow(TypeError);
});
