// npm run build, and npm's own `prepare`: the library, as it is published.
import { buildLibrary } from './output.mjs';

buildLibrary();
