// Adds to package-lock.json the optional packages of other platforms that `npm install` left out. npm leaves one out when the registry
// at hand does not have it, and then `npm ci` refuses the lock file. An entry made here names version, system and processor, so npm
// skips it on this platform and asks the registry for it on its own.
// usage: node .ci/complete-lock.mjs   after an `npm install` that brought a new native package

import { readFileSync, writeFileSync } from 'node:fs';

const LOCK = new URL('../package-lock.json', import.meta.url);
const SYSTEMS = [
  'aix',
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'win32',
];
const PROCESSORS = [
  'arm',
  'arm64',
  'ia32',
  'loong64',
  'mips64el',
  'ppc64',
  'riscv64',
  's390x',
  'wasm32',
  'x64',
];

/** The entry of a package such as `@rollup/rollup-linux-arm-musleabihf`, whose name says where it runs. */
function platformEntry(name, version, parent) {
  const words = name.split(/[-/]/);
  const os = words.find((word) => SYSTEMS.includes(word));
  const cpu = words.find((word) => PROCESSORS.includes(word));
  if (os === undefined || cpu === undefined) throw new Error(`${name} does not say its system and processor`);
  if (!/^\d+\.\d+\.\d+$/.test(version)) throw new Error(`${name}@${version} is not an exact version`);
  const last = words.at(-1);
  const libc =
    os !== 'linux'
      ? undefined
      : last.startsWith('musl')
        ? 'musl'
        : last.startsWith('gnu')
          ? 'glibc'
          : undefined;
  return {
    version,
    cpu: [cpu],
    ...(parent.dev ? { dev: true } : {}),
    ...(libc ? { libc: [libc] } : {}),
    license: parent.license,
    optional: true,
    os: [os],
  };
}

const lock = JSON.parse(readFileSync(LOCK, 'utf8'));
let added = 0;
for (const [path, parent] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    if (lock.packages[`${path}/node_modules/${name}`] ?? lock.packages[`node_modules/${name}`]) continue;
    lock.packages[`node_modules/${name}`] = platformEntry(name, version, parent);
    added++;
  }
}
if (added > 0) {
  const sorted = Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en'));
  lock.packages = Object.fromEntries(sorted);
  writeFileSync(LOCK, `${JSON.stringify(lock, null, 2)}\n`);
}
console.log(`package-lock.json: ${added} optional packages of other platforms added`);
