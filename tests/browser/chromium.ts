import { execFileSync } from 'node:child_process';
import { chmodSync, createReadStream, createWriteStream, existsSync, mkdirSync, renameSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { createBrotliDecompress } from 'node:zlib';
import puppeteer, { type Browser } from 'puppeteer-core';

const BINARY = fileURLToPath(new URL('../../build/browser/chromium', import.meta.url));
/** Debian packages with the libraries that the binary links against. */
const LIBRARIES = 'libexpat1 libnspr4 libnss3';
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * Unpacks the browser that @sparticuz/chromium carries. That package's own function would unpack to a fixed name in the folder for temporary
 * files, and take what it finds there for a browser, half-written or not.
 */
async function unpack(): Promise<void> {
  if (existsSync(BINARY)) return;
  const require = createRequire(import.meta.url);
  const entry = require.resolve('@sparticuz/chromium');
  const partial = `${BINARY}.${process.pid}`;
  mkdirSync(dirname(BINARY), { recursive: true });
  await pipeline(
    createReadStream(join(dirname(entry), '../../bin/chromium.br')),
    createBrotliDecompress(),
    createWriteStream(partial),
  );
  chmodSync(partial, 0o755);
  renameSync(partial, BINARY);
}

/** What a person must do before Chromium can start here; undefined when it starts. Any other failure is an error. */
export async function whatChromiumNeeds(): Promise<string | undefined> {
  if (process.platform !== 'linux')
    return 'a Linux machine: the browser in @sparticuz/chromium is built for no other';
  await unpack();
  try {
    execFileSync(BINARY, ['--version'], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    const { stderr } = error as { stderr?: Buffer };
    if (/error while loading shared libraries/.test(String(stderr))) return `apt-get install ${LIBRARIES}`;
    throw error;
  }
}

/** Starts headless Chromium with an empty profile. */
export function openChromium(profile: string): Promise<Browser> {
  return puppeteer.launch({
    executablePath: BINARY,
    headless: 'shell',
    userDataDir: profile,
    args: ARGUMENTS,
    // One slow machine, several pages that load 100 kB each.
    protocolTimeout: 60_000,
  });
}
