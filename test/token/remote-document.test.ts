import { describe, expect, onTestFinished, test } from 'vitest';
import { fetchDocument } from '../../lib/token/remote-document.ts';
import { serve } from '../support/http-server.ts';

describe('what a server says of how long its document holds', () => {
  test.each<[Readonly<Record<string, string>>, number | undefined]>([
    [{}, undefined],
    [{ 'Cache-Control': 'public' }, undefined],
    [{ 'Cache-Control': 'max-age=60' }, 60_000],
    [{ 'Cache-Control': 'Public,Max-Age=60,must-revalidate' }, 60_000],
    [{ 'Cache-Control': 'max-age="60"' }, 60_000],
    [{ 'Cache-Control': 's-maxage=5, max-age=60' }, 60_000],
    [{ 'Cache-Control': 's-max-age=5' }, undefined],
    [{ 'Cache-Control': 'max-age=60', Age: '45' }, 15_000],
    [{ 'Cache-Control': 'max-age=60', Age: '100' }, 0],
    [{ 'Cache-Control': 'max-age=60', Age: 'old' }, 60_000],
    [{ 'Cache-Control': 'max-age=0' }, 0],
    [{ 'Cache-Control': 'max-age=-5' }, undefined],
    [{ 'Cache-Control': 'no-store' }, 60_000],
    [{ 'Cache-Control': 'private, no-cache, max-age=5' }, 60_000],
    [{ 'Cache-Control': 'no-cache-please, max-age=60' }, 60_000],
  ])('%o', async (headers, maxAge) => {
    const { url, close } = await serve((_req, res) => void res.writeHead(200, headers).end('{"a":1}'));
    onTestFinished(() => close());
    expect(await fetchDocument(new URL(url), AbortSignal.timeout(5_000))).toEqual({ value: { a: 1 }, maxAge });
  });
});
