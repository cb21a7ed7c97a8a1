import { createClient } from 'redis';

/**
 * The one connection of the process. It is not waited for: while Redis is away, requests are answered 503, and when it
 * comes, the client finds it.
 */
export function connectTo(url: string) {
  const client = createClient({
    url,
    // As CLIENT LIST shows it.
    name: 'portcullis-example',
    // While Redis is away a command fails at once, instead of waiting in memory for its return.
    disableOfflineQueue: true,
    // Keeps an idle connection from being taken for a dead one by `socketTimeout`, which must be the longer.
    pingInterval: 500,
    socket: {
      connectTimeout: 1_000,
      socketTimeout: 1_500,
      // Without one of its own, the client gives up for good after a socketTimeout.
      reconnectStrategy: (tries) => Math.min(50 + 50 * tries, 500),
    },
  });

  // Without a listener an error would end the process; one line an outage is enough.
  let away = false;
  client.on('error', (error: Error) => {
    if (!away) console.error(`Redis is away: ${error.message || error}`);
    away = true;
  });
  client.on('ready', () => {
    if (away) console.log('Redis is back.');
    away = false;
  });

  // It fails only where there is nothing to try again: an address that is none, a wrong password.
  client.connect().catch((error: Error) => console.error(`Redis cannot be used: ${error.message}`));
  return client;
}
