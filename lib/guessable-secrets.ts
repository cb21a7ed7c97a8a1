import { isUtf8 } from 'node:buffer';
import { decode, disguisedKey, plainText } from './disguised-keys.ts';

/**
 * Why others could know this secret, however long it is, as the end of a sentence; undefined if nothing speaks against it.
 * Looked at are its bytes, and those its text is the base64 or hex of. What cannot be told from random bytes passes, such
 * as one coordinate of a public key.
 */
export function weakness(secret: Uint8Array): string | undefined {
  const bytes = Buffer.from(secret);
  const key = disguisedKey(bytes);
  if (key === 'key') {
    return 'is given a key, not a secret: whoever has a public key could sign with it. Give random bytes';
  }
  if (key === 'modulus') {
    return (
      'is given a key, not a secret: it looks like the modulus of an RSA key, which is public. ' +
      'If it is random after all, give one of another length, such as 64 bytes'
    );
  }
  const spellings = spellingsOf(bytes);
  if (spellings.some(isFamous)) return 'is one that anybody can guess: everybody knows it from examples';
  if (spellings.some(isMonotonous)) return 'is one that anybody can guess: it only repeats itself';
  return spellings.some(isStock)
    ? 'is one that anybody can guess: everybody knows all of its words from examples'
    : undefined;
}

// What is shorter tells nothing: two bytes always count up by the same step.
const LEAST_DECODED = 16;

function spellingsOf(bytes: Buffer): readonly Buffer[] {
  const decoded = decode(plainText(bytes).replace(/\s/g, ''));
  return decoded.length < LEAST_DECODED ? [bytes] : [bytes, decoded];
}

/** Whether examples print it, as text or as the base64url of its bytes, once or over and over, or a placeholder is in it. */
function isFamous(bytes: Buffer): boolean {
  return textsOf(bytes)
    .map(lettersOf)
    .some((letters) => {
      const unit = letters.slice(0, period(letters));
      return FAMOUS.has(letters) || FAMOUS.has(unit) || PLACEHOLDERS.some((each) => letters.includes(each));
    });
}

/** Whether it is made of the words that examples are made of: `thisIsMySecretKey`, `jwt_secret_that_is_32_chars_long`. */
function isStock(bytes: Buffer): boolean {
  return textsOf(bytes).some((text) => {
    const said = text.trim().toLowerCase();
    const unit = said.slice(0, period(said));
    const rest = unit.replace(STOCK_WORDS, '');
    return rest.length < unit.length / 2 && /^[\s_.,!-]*(?:\d[\s_.,!-]*){0,8}$/.test(rest);
  });
}

const SHORTEST_PERIOD = 11;

/** `aaaa…`, `secretsecret…`, `1234567890123…`, or bytes that count up or down. */
function isMonotonous(bytes: Buffer): boolean {
  const step = (index: number) => (bytes[index] ?? 0) - (bytes[index - 1] ?? 0);
  const text = textOf(bytes).trim().toLowerCase();
  return period(text) < SHORTEST_PERIOD || bytes.every((_, index) => index < 2 || step(index) === step(1));
}

/** How many characters a text takes before it repeats. */
function period(text: string): number {
  let length = 1;
  while (length < text.length && !text.startsWith(text.slice(length))) length++;
  return length;
}

/** What is written: the text itself, or bytes whose base64url it is. */
function textsOf(bytes: Buffer): readonly string[] {
  return [textOf(bytes), bytes.toString('base64url')];
}

function textOf(bytes: Buffer): string {
  return bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
}

/** Without case and punctuation. */
function lettersOf(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9]/g, '');
}

// Put there to be replaced.
const PLACEHOLDERS: readonly string[] = [
  'changeme',
  'changethis',
  'changeinproduction',
  'replaceme',
  'replacethis',
  'donotusethisvalue',
  'yoursecret',
  'yoursupersecret',
  'yourjwtsecret',
  'your256bitsecret',
  'your384bitsecret',
  'your512bitsecret',
  'yourverysecret',
  'keyboardcat',
];

const STOCK_WORDS = new RegExp(
  (
    'this that the is it i am an a and my your our very super extra really long strong secure safe private random simple ' +
    'must should has have to be at least minimum min more than of for with in on or only please not do use s ' +
    'character char letter bit byte length hs256 hs384 hs512 sha256 aes secret password passphrase passwd pass key token ' +
    'string value shhhhh salt jwt jws json web session cookie nextauth authentication auth access refresh signing sign ' +
    'encryption hmac application app api server express node backend testing test demo example sample default local ' +
    'development dev production prod environment env config project user admin root hello world foo bar baz ' +
    'qwertyuiop qwerty asdfghjkl zxcvbnm abcdefghijklmnopqrstuvwxyz'
  )
    .split(' ')
    // The longest first, where one begins another.
    .sort((one, other) => other.length - one.length)
    .join('|'),
  'g',
);

// The shorter ones only ever come repeated.
const FAMOUS: ReadonlySet<string> = new Set(
  [
    'abcdefghijklmnopqrstuvwxyz0123456789',
    '0123456789abcdef',
    '0123456789abcdef0123456789abcdef',
    '0123456789abcdefghijklmnopqrstuvwxyz',
    '00112233445566778899aabbccddeeff',
    // jwt.io, iron-session, Supabase.
    'a-string-secret-at-least-256-bits-long',
    'a-string-secret-at-least-384-bits-long-xyz',
    'a-valid-string-secret-that-is-at-least-384-bits-long',
    'a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long',
    'complex_password_at_least_32_characters_long',
    // RFC 7515, appendix A.1; RFC 7517, appendix A.3; RFC 7520, sections 3.5 and 3.6.
    'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
    'GawgguFyGrWKav7AX4VKUg',
    'hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg',
    'AAPapAv4LbFbiVawEjagUBluYqN5rhna-8nuldDvOx8',
    // FastAPI's and Flask's documentation, and a much copied lesson on Spring.
    '09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7',
    '192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf',
    '404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970',
  ].map(lettersOf),
);
