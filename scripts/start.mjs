// npm start: the sample app, from nothing but Node and npm.
import { installDependencies } from './dependencies.mjs';
import { buildExampleApp, buildLibrary } from './output.mjs';

installDependencies();
buildLibrary();
buildExampleApp();
endWithNpm();
await import(new URL('../build/example-app/server.js', import.meta.url).href);

/** What npm is told to stop by, it tells the shell between it and us, and no further: we are left without a parent. */
function endWithNpm() {
  if (process.env.npm_lifecycle_event !== 'start') return;
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    process.kill(process.pid, 'SIGTERM');
  }, 200);
  watch.unref();
}
