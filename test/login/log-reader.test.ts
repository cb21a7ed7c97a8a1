import { expect, test } from 'vitest';
import { LogReader } from '../../lib/login/log-reader.ts';
import { entryOf, idOf } from '../../lib/login/revocation.ts';
import { Revocations } from '../../lib/login/revocations.ts';
import { StoreClock } from '../../lib/login/store-clock.ts';
import { memoryLog } from '../../lib/store/memory-log.ts';
import type { Append } from '../../lib/store/ports.ts';

test('what is owed is appended again until it was read back; what stands already is not owed again', async () => {
  const log = memoryLog();
  const appended: (readonly Append[])[] = [];
  const append: typeof log.append = (entries, known) => {
    appended.push(entries);
    return log.append(entries, known);
  };
  const reader = new LogReader({ ...log, append }, new Revocations(Date.now), new StoreClock());
  const entry = entryOf({ kind: 'token', id: idOf.token('issuer', 'a'), expiresAt: Date.now() + 60_000 });

  await reader.read();
  reader.owe(entry);
  await reader.pay();
  expect(appended).toEqual([[entry]]);
  await reader.read();
  await reader.pay();
  reader.owe(entry);
  await reader.pay();
  expect(appended).toHaveLength(1);

  const longer = { ...entry, expiresAt: entry.expiresAt + 60_000 };
  reader.owe(longer);
  reader.owe(longer);
  await reader.pay();
  expect(appended).toEqual([[entry], [longer]]);
});
