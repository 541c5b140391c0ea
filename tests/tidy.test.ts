// The rules of this repository that neither the compiler nor the linter holds. Each check also runs against a sample that breaks it,
// so a check that can no longer fail fails.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

/** A text file, by its path from the root of the repository. */
interface Source {
  readonly path: string;
  readonly text: string;
}

interface Check {
  readonly rule: string;
  /** Returns one line for each offence. */
  readonly find: (sources: readonly Source[]) => string[];
  /** Breaks the rule. */
  readonly broken: readonly Source[];
}

/** Full of samples that break the rules. */
const SELF = 'tests/tidy.test.ts';
const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const FOLDERS = ['assembly', 'ts', 'tests', 'benchmarks', 'examples', 'docs', '.ci'];
const ROOT_TEXTS = readdirSync(ROOT).filter(
  (name) => /\.(md|json|mjs|ts)$/.test(name) && name !== 'package-lock.json',
);
const IGNORED = /(^|\/)(node_modules|build|results|api)\//;

/** Every file of the repository, without what is generated. */
const PATHS = [
  ...ROOT_TEXTS,
  ...FOLDERS.filter((folder) => existsSync(join(ROOT, folder))).flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => posix.join(entry.parentPath.slice(ROOT.length + 1), entry.name))
      .filter((path) => !IGNORED.test(path)),
  ),
];

const SOURCES: readonly Source[] = PATHS.filter((path) =>
  /\.(ts|mts|mjs|js|md|json|yml|yaml|sh)$|^\.ci\//.test(path),
).map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));

/** Blanks the comments, and keeps strings, lines and columns. */
function withoutComments(text: string): string {
  return text.replace(
    /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (token) => (token.startsWith('/') ? token.replace(/[^\n]/g, ' ') : token),
  );
}

/** `path:line: what` of each match. */
function matches(
  { path, text }: Source,
  pattern: RegExp,
  what: (match: RegExpExecArray) => string | undefined,
): string[] {
  const found: string[] = [];
  for (const match of text.matchAll(new RegExp(pattern, 'g'))) {
    const message = what(match);
    if (message !== undefined)
      found.push(`${path}:${text.slice(0, match.index).split('\n').length}: ${message}`);
  }
  return found;
}

// ---- imports ------------------------------------------------------------------------------------------------------------------------

interface Import {
  readonly from: string;
  /** A path from the root for a relative import, otherwise the specifier. */
  readonly to: string;
  readonly isTypeOnly: boolean;
}

function importsOf({ path, text }: Source): Import[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest);
  const imports: Import[] = [];
  const add = (specifier: string, isTypeOnly: boolean): void => {
    const to = specifier.startsWith('.')
      ? posix.join(posix.dirname(path), specifier).replace(/\.js$/, '.ts')
      : specifier;
    imports.push({ from: path, to, isTypeOnly });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      add(node.moduleSpecifier.text, node.importClause?.isTypeOnly ?? false);
    } else if (
      ts.isExportDeclaration(node) &&
      node.moduleSpecifier &&
      ts.isStringLiteral(node.moduleSpecifier)
    ) {
      add(node.moduleSpecifier.text, node.isTypeOnly);
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [specifier] = node.arguments;
      if (specifier && ts.isStringLiteral(specifier)) add(specifier.text, false);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return imports;
}

/** Lowest first. A file imports its own layer and those below; the longest matching path says which layer a file is in. */
const LAYERS: readonly (readonly string[])[] = [
  [
    'build/generated',
    'ts/comlink-node-adapter.d.ts',
    'ts/errors.ts',
    'ts/clock.ts',
    'ts/qos.ts',
    'ts/options.ts',
  ],
  ['ts/kernel', 'ts/codec'],
  ['ts/platform/port.ts', 'ts/platform/pin.ts'],
  ['ts/locks'],
  [
    'ts/pool',
    'ts/metrics',
    'ts/runtime',
    'ts/worker',
    'ts/systems',
    'ts/policy',
    'ts/platform',
    'ts/task-contract.ts',
    'ts/task.ts',
  ],
  ['ts/surface.ts', 'ts/index.node.ts', 'ts/index.browser.ts', 'ts/worker.node.ts', 'ts/worker.browser.ts'],
  ['ts/cli'],
];

function layerOf(path: string): number | undefined {
  let layer: number | undefined;
  let length = 0;
  for (const [rank, members] of LAYERS.entries()) {
    for (const member of members) {
      if (member.length > length && (path === member || path.startsWith(`${member}/`))) {
        layer = rank;
        length = member.length;
      }
    }
  }
  return layer;
}

const inTs = (sources: readonly Source[]): Source[] =>
  sources.filter(({ path }) => /^ts\/.*\.ts$/.test(path));
const mayNameNode = (path: string): boolean =>
  /^ts\/cli\/|\.node\.ts$|^ts\/platform\//.test(path) && !/browser|port\.ts$/.test(path);

/** The cycles of imports that remain when the types are gone; a cycle makes the order of evaluation an accident. */
function findCycles(sources: readonly Source[]): string[] {
  const graph = new Map(
    sources.map((source) => [
      source.path,
      importsOf(source)
        .filter((edge) => !edge.isTypeOnly)
        .map(({ to }) => to),
    ]),
  );
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      cycles.push([...trail.slice(start), path].join(' -> '));
      return;
    }
    if (done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return cycles;
}

// ---- references ---------------------------------------------------------------------------------------------------------------------

const BASENAMES = new Set(PATHS.map((path) => posix.basename(path)));
const PROSE = /\.(ts|mts|mjs|md)$|^\.ci\//;

/** A path with a folder of this repository must exist. */
function findDeadPaths(sources: readonly Source[]): string[] {
  return (
    sources
      // The bundler's list of entries looks for itself what is there.
      .filter(({ path }) => PROSE.test(path) && path !== SELF && path !== 'rollup.config.mjs')
      .flatMap((source) =>
        matches(
          source,
          /(?<![\w./@-])(?:assembly|ts|tests|benchmarks|examples|docs|\.ci)\/[\w./-]*[\w-]\.(?:ts|mjs|js|md|json)\b/,
          ([reference]) => {
            const asSource = reference.replace(/\.js$/, '.ts');
            return PATHS.includes(reference) || PATHS.includes(asSource)
              ? undefined
              : `${reference} does not exist`;
          },
        ),
      )
  );
}

/** In a comment of the sources, a bare file name must be that of some file here. */
function findDeadNames(sources: readonly Source[]): string[] {
  return sources
    .filter(({ path }) => /^(assembly|ts)\/.*\.ts$/.test(path))
    .flatMap(({ path, text }) => {
      const code = withoutComments(text);
      const comments = [...text].map((char, i) => (char === '\n' || code[i] !== char ? char : ' ')).join('');
      return matches(
        { path, text: comments },
        /(?<![\w./-])[a-z][a-z0-9-]*(?:\.\w+)?\.(?:ts|mjs|md)\b/,
        ([name]) => (BASENAMES.has(name) || name === 'tasks.ts' ? undefined : `${name} does not exist`),
      );
    });
}

// ---- banned calls -------------------------------------------------------------------------------------------------------------------

interface Ban {
  readonly in: RegExp;
  readonly except?: RegExp;
  readonly call: RegExp;
  readonly instead: string;
  readonly sample: Source;
}

const BANS: readonly Ban[] = [
  {
    in: /^assembly\/.*\.ts$/,
    except: /^assembly\/atomics\.ts$/,
    call: /\batomic\s*\.|\bAtomics\b/,
    instead: 'the functions of assembly/atomics.ts, which the model can watch',
    sample: { path: 'assembly/slots.ts', text: 'const x = atomic.load<i32>(p);' },
  },
  {
    in: /^assembly\/.*\.ts$/,
    call: /\bMath\.random\b/,
    instead: "the agent's own generator, whose seed a test can set",
    sample: { path: 'assembly/slots.ts', text: 'const x = Math.random();' },
  },
  {
    in: /^assembly\/.*\.ts$/,
    call: /\bnew\s+\w+|\bheap\.\w+\(|\b__new\(/,
    instead: 'blocks of the arena: the kernel has no heap of its own',
    sample: { path: 'assembly/slots.ts', text: 'const x = new Array<i32>(4);' },
  },
  {
    in: /^assembly\/.*\.ts$/,
    call: /\bmemory\.(?:grow|data)\b/,
    instead: 'the memory that the loader made: its size is fixed',
    sample: { path: 'assembly/slots.ts', text: 'memory.grow(1);' },
  },
  {
    in: /^ts\//,
    except: /^ts\/(cli|platform)\/|\.browser\.ts$/,
    call: /\bconsole\s*\.\s*\w+/,
    instead: 'an event of the pool, or an error',
    sample: { path: 'ts/pool/pool.ts', text: 'console.log(1);' },
  },
  {
    in: /^ts\//,
    call: /\beval\s*\(|\bnew\s+Function\b/,
    instead: 'a module: a page may forbid code made from text',
    sample: { path: 'ts/pool/pool.ts', text: 'new Function("return 1")();' },
  },
  {
    in: /^ts\//,
    except: /^ts\/(cli|platform)\/|\.node\.ts$/,
    call: /\bprocess\s*\.\s*\w+/,
    instead: 'the port of ts/platform',
    sample: { path: 'ts/pool/pool.ts', text: 'process.exit(1);' },
  },
  {
    in: /^ts\//,
    call: /@ts-(?:ignore|nocheck)/,
    instead: 'a type that fits, or @ts-expect-error with its reason',
    sample: { path: 'ts/pool/pool.ts', text: "'@ts-ignore'" },
  },
  {
    in: /^tests\/.*\.test\.ts$/,
    call: /\b(?:it|test|describe)\.only\b/,
    instead: 'all the tests',
    sample: { path: 'tests/pool.test.ts', text: ['it', 'only("x", () => {});'].join('.') },
  },
];

const findBanned = (sources: readonly Source[]): string[] =>
  BANS.flatMap((ban) =>
    sources
      .filter(({ path }) => ban.in.test(path) && !ban.except?.test(path) && path !== SELF)
      .flatMap(({ path, text }) =>
        matches({ path, text: withoutComments(text) }, ban.call, ([call]) => `${call}: use ${ban.instead}`),
      ),
  );

// ---- the table of checks --------------------------------------------------------------------------------------------------------------

// Joined, so that this file does not hold the words it looks for.
const UNFINISHED = new RegExp(`\\b(?:${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X'].join('|')})\\b`);
const MACHINE_PATH = new RegExp(
  `(?<![\\w.*-])/(?:${['wo' + 'rk', 'ho' + 'me', 'ro' + 'ot', 'Us' + 'ers'].join('|')})/[\\w-]`,
);

const CHECKS: readonly Check[] = [
  {
    rule: 'every file of ts/ is in a layer',
    find: (sources) =>
      inTs(sources)
        .filter(({ path }) => layerOf(path) === undefined)
        .map(({ path }) => `${path}: name it in LAYERS`),
    broken: [{ path: 'ts/misc/helper.ts', text: '' }],
  },
  {
    rule: 'a file imports its own layer or lower ones',
    find: (sources) =>
      inTs(sources)
        .flatMap(importsOf)
        .filter(({ from, to }) => (layerOf(to) ?? 0) > (layerOf(from) ?? 0))
        .map(({ from, to }) => `${from} imports ${to}, which is above it`),
    broken: [{ path: 'ts/codec/pack.ts', text: "import { TaskPool } from '../pool/pool.ts';" }],
  },
  {
    rule: 'imports make no cycle',
    find: (sources) => findCycles(inTs(sources)),
    broken: [
      { path: 'ts/pool/a.ts', text: "import { b } from './b.ts';" },
      { path: 'ts/pool/b.ts', text: "export { a } from './a.js';" },
    ],
  },
  {
    rule: 'only the adapters and the command line name Node modules',
    find: (sources) =>
      inTs(sources)
        .flatMap(importsOf)
        .filter(({ from, to }) => to.startsWith('node:') && !mayNameNode(from))
        .map(({ from, to }) => `${from} imports ${to}`),
    broken: [{ path: 'ts/pool/pool.ts', text: "const os = await import('node:os');" }],
  },
  {
    rule: 'a cited file exists',
    find: (sources) => [...findDeadPaths(sources), ...findDeadNames(sources)],
    broken: [{ path: 'docs/guide.md', text: ['See docs', 'no-such-page.md.'].join('/') }],
  },
  {
    rule: 'a file that a comment names exists',
    find: findDeadNames,
    broken: [{ path: 'assembly/slots.ts', text: '/** As in no-such-file.ts, but smaller. */' }],
  },
  {
    rule: 'nothing is left unfinished',
    find: (sources) => sources.flatMap((source) => matches(source, UNFINISHED, ([word]) => word)),
    broken: [{ path: 'ts/pool/pool.ts', text: `// ${'TO'}DO: later` }],
  },
  {
    rule: 'no path of a machine',
    find: (sources) => sources.flatMap((source) => matches(source, MACHINE_PATH, ([path]) => path)),
    broken: [{ path: 'docs/guide.md', text: `cd ${['', 'home', 'me', 'heddle'].join('/')}` }],
  },
  {
    rule: 'file names are in kebab-case',
    find: (sources) =>
      sources
        .map(({ path }) => path)
        .filter(
          (path) =>
            !/^\.?(?:[a-z0-9]+(?:[-.][a-z0-9]+)*\/)*(?:[a-z0-9]+(?:[-.][a-z0-9]+)*|[A-Z]+\.md)$/.test(path),
        ),
    broken: [{ path: 'ts/pool/taskPool.ts', text: '' }],
  },
  { rule: 'no banned call', find: findBanned, broken: BANS.map(({ sample }) => sample) },
];

describe('tidy', () => {
  for (const { rule, find, broken } of CHECKS) {
    it(rule, () => {
      expect(find(SOURCES)).toEqual([]);
    });

    it(`can fail: ${rule}`, () => {
      expect(find(broken)).not.toEqual([]);
    });
  }

  for (const { call, sample } of BANS) {
    it(`can fail: banned ${call}`, () => {
      expect(findBanned([sample])).not.toEqual([]);
    });
  }
});

// ---- the kernel -----------------------------------------------------------------------------------------------------------------------

const SECTION_NAMES = [
  'custom',
  'type',
  'import',
  'function',
  'table',
  'memory',
  'global',
  'export',
  'start',
  'element',
  'code',
  'data',
  'data count',
];
/** All threads share the one memory, so a module may hold no state and do nothing when it is instantiated. */
const PURE_SECTIONS = new Set(['type', 'import', 'function', 'export', 'code']);

/** What makes a module impure: its forbidden sections, and any import but the shared memory. */
function impurities(wasm: Uint8Array): string[] {
  const found: string[] = [];
  let offset = 8;
  const byte = (): number => {
    const value = wasm[offset++];
    if (value === undefined) throw new Error('the module ends early');
    return value;
  };
  const leb = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const next = byte();
      value += (next & 0x7f) * 2 ** shift;
      if (next < 0x80) return value;
    }
  };
  const text = (): string => {
    const length = leb();
    offset += length;
    return new TextDecoder().decode(wasm.subarray(offset - length, offset));
  };
  let hasMemory = false;
  while (offset < wasm.length) {
    const name = SECTION_NAMES[byte()] ?? 'unknown';
    const end = leb() + offset;
    if (!PURE_SECTIONS.has(name)) found.push(`a section ${name}`);
    if (name === 'import') {
      const count = leb();
      const id = `${text()}.${text()}`;
      const [kind, limits] = [byte(), byte()];
      // Kind 2 is a memory; of its limits, bit 0 says that there is a maximum and bit 1 that it is shared.
      hasMemory = count === 1 && id === 'env.memory' && kind === 2 && limits === 3;
    }
    offset = end;
  }
  if (!hasMemory) found.push('imports other than one shared env.memory');
  return found;
}

const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
/** (import "env" "memory" (memory 1 2 shared)), with the given limits byte. */
const memoryImport = (limits: number): number[] => [
  2,
  16,
  1,
  3,
  ...Buffer.from('env'),
  6,
  ...Buffer.from('memory'),
  2,
  limits,
  1,
  2,
];

describe('kernel purity', () => {
  it('the release kernel imports the shared memory, and has no data, globals, tables or start', () => {
    const wasm = readFileSync(join(ROOT, 'build/kernel/kernel.release.wasm'));
    expect(WebAssembly.validate(wasm)).toBe(true);
    expect(impurities(wasm)).toEqual([]);
  });

  it('a pure module passes', () => {
    expect(impurities(Uint8Array.from([...HEADER, ...memoryImport(3)]))).toEqual([]);
  });

  it.each([
    ['a memory that is not shared', memoryImport(1)],
    ['no import', []],
    // (global (mut i32) (i32.const 0))
    ['a mutable global', [...memoryImport(3), 6, 6, 1, 0x7f, 1, 0x41, 0, 0x0b]],
    ['a start function', [...memoryImport(3), 8, 1, 0]],
    ['a data segment', [...memoryImport(3), 11, 1, 0]],
  ])('can fail: %s', (_, sections) => {
    expect(impurities(Uint8Array.from([...HEADER, ...sections]))).not.toEqual([]);
  });
});

// ---- the lock file --------------------------------------------------------------------------------------------------------------------

interface LockedPackage {
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

function unlocked(packages: Readonly<Record<string, LockedPackage>>): string[] {
  return Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => !(`${path}/node_modules/${name}` in packages || `node_modules/${name}` in packages),
    ),
  );
}

describe('package-lock.json', () => {
  it('names the optional packages of every platform: if not, run .ci/complete-lock.mjs', () => {
    const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
    expect(unlocked(lock.packages)).toEqual([]);
  });

  it('can fail: an optional package is left out', () => {
    expect(unlocked({ 'node_modules/a': { optionalDependencies: { 'a-darwin-x64': '1.0.0' } } })).toEqual([
      'a-darwin-x64',
    ]);
  });
});

// ---- what a browser loads -------------------------------------------------------------------------------------------------------------

describe('browser build', () => {
  const entries = ['index.browser.js', 'task.browser.js', 'worker.browser.js'].filter(
    (entry) => entry.startsWith('task') || PATHS.includes(`ts/${entry.replace(/js$/, 'ts')}`),
  );

  it.each(entries)('%s reaches only relative modules', (entry) => {
    const seen = new Set<string>();
    const bare: string[] = [];
    const visit = (path: string): void => {
      if (seen.has(path)) return;
      seen.add(path);
      for (const { to } of importsOf({ path, text: readFileSync(join(ROOT, path), 'utf8') })) {
        if (to.startsWith('build/')) visit(to.replace(/\.ts$/, '.js'));
        else bare.push(`${path} imports ${to}`);
      }
    };
    visit(`build/${entry}`);
    expect(bare).toEqual([]);
  });
});
