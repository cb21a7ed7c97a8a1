import { StoreUnavailable } from 'portcullis';
import { expect, test } from 'vitest';
import { Patience } from '../../lib/store/patience.ts';

const lost = () => new Promise<never>(() => {});
const answered = async () => 'an answer';

test('an answer to a later command shows that the server is there, though one before it was lost for good', async () => {
  const patience = new Patience(50);
  await expect(patience.await(lost)).rejects.toThrow(StoreUnavailable);
  for (let n = 0; n < 5; n++) expect(await patience.await(answered)).toBe('an answer');
});

test('while nothing is answered, most commands fail without being sent', async () => {
  const patience = new Patience(50);
  let sent = 0;
  const send = () => {
    sent += 1;
    return lost();
  };
  await expect(patience.await(send)).rejects.toThrow(StoreUnavailable);
  const late = await Promise.allSettled(Array.from({ length: 100 }, () => patience.await(send)));
  expect(late.map(({ status }) => status)).not.toContain('fulfilled');
  expect(sent).toBeLessThan(10);
});
