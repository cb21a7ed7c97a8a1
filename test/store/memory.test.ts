import { memoryStore } from 'portcullis';
import { storeContract } from './contract.ts';

storeContract('memoryStore', async () => memoryStore());
