// npm start: the sample app, from nothing but Node and npm.
import { installDependencies } from './dependencies.mjs';
import { buildExampleApp, buildLibrary } from './output.mjs';

installDependencies();
buildLibrary();
buildExampleApp();
await import(new URL('../build/example-app/server.js', import.meta.url).href);
