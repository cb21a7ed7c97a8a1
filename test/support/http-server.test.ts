import { once } from 'node:events';
import { connect } from 'node:net';
import express from 'express';
import { expect, test } from 'vitest';
import { serve } from './http-server.ts';

test('an app is served on a loopback port until it is closed', async () => {
  const app = express();
  app.get('/', (_req, res) => void res.send('hello'));
  const { url, close } = await serve(app);
  expect(await (await fetch(url)).text()).toBe('hello');
  await close();
  await close();
  await expect(fetch(url)).rejects.toThrow();
});

test('close ends a connection that was upgraded, and one that waits for its answer', async () => {
  const { port, server, close } = await serve(() => {});
  server.on('upgrade', (_req, socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'));
  const upgraded = connect(port, '127.0.0.1');
  upgraded.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
  await once(upgraded, 'data');
  const waiting = connect(port, '127.0.0.1');
  waiting.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await once(server, 'request');
  const ended = [upgraded, waiting].map((socket) => once(socket.resume(), 'close'));
  await close();
  await Promise.all(ended);
});
