// Locks the plain fixture v1-answers as age would: by the passphrase below, and to the identity below.
// Run once a format version, after make.py; needs the package age-encryption only.
import { readFileSync, writeFileSync } from 'node:fs';
import { Encrypter, identityToRecipient } from 'age-encryption';

const IDENTITY = 'AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX'; // public: a fixture, as age's test vectors use it
const folder = new URL('./v1-answers/', import.meta.url);
const plain = readFileSync(new URL('secret.whorl', folder));

const byPassphrase = new Encrypter();
byPassphrase.setPassphrase('correct horse battery staple');
byPassphrase.setScryptWorkFactor(10); // quick to test with; real secrets use age's 18
writeFileSync(new URL('secret-passphrase.whorl', folder), await byPassphrase.encrypt(plain));

const toRecipient = new Encrypter();
toRecipient.addRecipient(await identityToRecipient(IDENTITY));
writeFileSync(new URL('secret-recipient.whorl', folder), await toRecipient.encrypt(plain));
