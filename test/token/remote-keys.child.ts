import { remoteKeys } from '../../lib/token/remote-keys.ts';

const keys = remoteKeys(process.argv[2] as string, { algorithms: ['EdDSA'] });
const key = await keys.find({ kid: 'a', alg: 'EdDSA' });
console.log(`found ${key?.kid}`);
// The next fetch may begin in a second; nobody will be there.
void keys.find({ kid: 'made-up', alg: 'EdDSA' });
