// Compiles the kernel: assembly/index.ts -> build/kernel/*.wasm, and everything TypeScript knows about it -> build/generated/*.ts.
//
//   node assembly/compile.mjs           compile what changed (a hash of the inputs is kept in build/kernel/stamp)
//   node assembly/compile.mjs --force   compile in any case
//
// What only the model target contains stands in comments of the sources, so that no other target can have a trace of it:
//
//   export const CAPACITY: u32 = 256; // model: 4    the constant is 4
//   // model: CODE                                   on a line of its own: CODE
//   // mutant NAME: CODE                             on a line of its own: if (mutant(MUTANT_NAME)) CODE (assembly/mutants.ts)
//
// `atomic.fence()` does not compile: asc 0.28.20 emits it without a memory order, which the validator rejects. Each WebAssembly atomic
// is sequentially consistent, so an atomic read-modify-write on the shared word takes its place.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeExplorable } from './instrument.mjs';
import { optimise } from './optimise.mjs';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const TARGETS = ['debug', 'release', 'model'];
const ENTRY = 'assembly/index.ts';
const MODEL_ENTRY = 'assembly/model.ts';
/** Files whose exported constants TypeScript gets as literals. */
const CONSTANT_FILES = ['assembly/layout.ts', 'assembly/status.ts'];
const MODEL_CONSTANT_FILES = [...CONSTANT_FILES, 'assembly/schedule.ts', 'assembly/mutants.ts'];
const STAMP = 'build/kernel/stamp';
const OUTPUTS = [
  ...TARGETS.map((target) => `build/kernel/kernel.${target}.wasm`),
  'build/kernel/kernel.release.wat',
  'build/kernel.wasm',
  'build/generated/layout.ts',
  'build/generated/kernel-bytes.ts',
  'build/generated/kernel-exports.ts',
  'build/generated/layout.model.ts',
  'build/generated/model-exports.ts',
];

const inRoot = (path) => join(ROOT, path);

/** Another process may read while we write, so a file appears whole or not at all. */
function writeWhole(path, content) {
  const target = inRoot(path);
  mkdirSync(dirname(target), { recursive: true });
  const temporary = `${target}.${process.pid}`;
  writeFileSync(temporary, content);
  renameSync(temporary, target);
}

function hashInputs() {
  const sources = readdirSync(inRoot('assembly'), { recursive: true })
    .map((name) => `assembly/${String(name).replaceAll('\\', '/')}`)
    .filter((path) => path.endsWith('.ts') || path.endsWith('.mjs'))
    .sort();
  const tools = ['assemblyscript', 'binaryen'].map((name) => `node_modules/${name}/package.json`);
  const hash = createHash('sha256');
  for (const path of [...sources, 'asconfig.json', ...tools]) {
    hash
      .update(path)
      .update('\0')
      .update(readFileSync(inRoot(path)))
      .update('\0');
  }
  return hash.digest('hex');
}

function isFresh(hash) {
  return (
    existsSync(inRoot(STAMP)) &&
    readFileSync(inRoot(STAMP), 'utf8') === hash &&
    OUTPUTS.every((path) => existsSync(inRoot(path)))
  );
}

/** Runs asc in this process. `virtual` files shadow the disk; a null hides one. Returns what asc would have written, by path. */
async function runAsc(asc, args, virtual = {}) {
  const written = new Map();
  const { error, stderr } = await asc.main(args, {
    readFile(name, baseDir) {
      if (Object.hasOwn(virtual, name)) return virtual[name];
      const path = resolve(ROOT, baseDir, name);
      return existsSync(path) ? readFileSync(path, 'utf8') : null;
    },
    writeFile(name, content) {
      written.set(name, content);
    },
    listFiles: () => [],
  });
  const log = stderr.toString();
  if (error)
    throw new Error(
      `asc ${args.join(' ')} failed\n${log}${log.includes(error.message) ? '' : error.message}`,
    );
  if (log) process.stderr.write(log);
  return written;
}

/** The sources as the model target has them, by path. */
function modelSources() {
  const sources = {};
  for (const name of readdirSync(inRoot('assembly')).filter((name) => name.endsWith('.ts'))) {
    const path = `assembly/${name}`;
    const mutants = [];
    const text = readFileSync(inRoot(path), 'utf8')
      .replace(/= [^=;\n]+; \/\/ model: (.+)$/gm, '= $1;')
      .replace(/^( *)\/\/ model: (.+)$/gm, '$1$2')
      .replace(/^( *)\/\/ mutant (\w+): (.+)$/gm, (_, indent, mutant, code) => {
        mutants.push(`MUTANT_${mutant}`);
        return `${indent}if (mutant(MUTANT_${mutant})) ${code}`;
      });
    const names = ['mutant', ...new Set(mutants)].join(', ');
    sources[path] = mutants.length === 0 ? text : `${text}\nimport { ${names} } from './mutants';\n`;
  }
  return sources;
}

/** The exported functions with their WebAssembly types. */
function signaturesOf(binaryen, module) {
  const typeNames = new Map([
    [binaryen.i32, 'number'],
    [binaryen.f32, 'number'],
    [binaryen.f64, 'number'],
    [binaryen.i64, 'bigint'],
  ]);
  const nameOf = (type) => {
    const name = typeNames.get(type);
    if (name === undefined)
      throw new Error('an exported function uses a type other than i32, i64, f32 and f64');
    return name;
  };
  const signatures = [];
  for (let i = 0; i < module.getNumExports(); i++) {
    const info = binaryen.getExportInfo(module.getExportByIndex(i));
    if (info.kind !== binaryen.ExternalFunction) continue;
    const fn = binaryen.getFunctionInfo(module.getFunction(info.value));
    signatures.push({
      name: info.name,
      params: binaryen.expandType(fn.params).map(nameOf),
      result: fn.results === binaryen.none ? 'void' : nameOf(fn.results),
    });
  }
  return signatures;
}

const GENERATED = '// Generated by assembly/compile.mjs. Do not edit.\n';

/** The doc comment right above a declaration as it stands in the source, or ''; a blank line between makes it the file's comment. */
function docComment(node) {
  const doc = node.jsDoc?.at(-1);
  if (doc === undefined) return '';
  const { text } = node.getSourceFile();
  const isAdjacent = !text.slice(doc.end, node.getStart()).includes('\n\n');
  return isAdjacent ? `${text.slice(doc.pos, doc.end)}\n` : '';
}

const isExported = (ts, node) =>
  node.modifiers?.some((modifier) => modifier.kind === ts.SyntaxKind.ExportKeyword) ?? false;

/** [{ name, doc, file }] of the constants that the constant files export, in source order. */
function listConstants(ts, files) {
  const constants = [];
  for (const file of files) {
    const source = ts.createSourceFile(
      file,
      readFileSync(inRoot(file), 'utf8'),
      ts.ScriptTarget.Latest,
      true,
    );
    for (const statement of source.statements) {
      if (!isExported(ts, statement)) continue;
      if (ts.isEnumDeclaration(statement))
        throw new Error(`${file}: write ${statement.name.text} as constants, an enum is not generated`);
      if (!ts.isVariableStatement(statement)) continue;
      if (!(statement.declarationList.flags & ts.NodeFlags.Const))
        throw new Error(`${file}: an exported variable must be const`);
      for (const { name } of statement.declarationList.declarations) {
        constants.push({ name: name.text, file, doc: docComment(statement) });
      }
    }
  }
  const seen = new Map();
  for (const { name, file } of constants) {
    if (seen.has(name)) throw new Error(`${name} is exported by ${seen.get(name)} and by ${file}`);
    seen.set(name, file);
  }
  return constants;
}

/**
 * Asks the compiler itself for the values: a probe module returns each constant as f64, which carries the sign of the declared type
 * (a u32 stays unsigned) and every i32 and u32 exactly.
 */
async function generateLayout(ts, asc, files, virtual = {}) {
  const constants = listConstants(ts, files);
  const probe = files
    .map((file, i) => {
      const own = constants.filter((constant) => constant.file === file).map(({ name }) => name);
      const getters = own.map((name) => `export function ${name}(): f64 { return <f64>from${i}.${name}; }`);
      return [`import * as from${i} from './${file.replace(/\.ts$/, '')}';`, ...getters].join('\n');
    })
    .join('\n');
  const args = [
    'probe.ts',
    '--outFile',
    'probe.wasm',
    '--runtime',
    'stub',
    '--use',
    'abort=',
    '--enable',
    'threads',
  ];
  args.push(
    '--importMemory',
    '--sharedMemory',
    '--initialMemory',
    '1',
    '--maximumMemory',
    '65536',
    '--noExportMemory',
  );
  const written = await runAsc(asc, args, { 'asconfig.json': null, 'probe.ts': probe, ...virtual });
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
  const { instance } = await WebAssembly.instantiate(written.get('probe.wasm'), { env: { memory } });
  const lines = constants.map(({ name, doc, file }) => {
    const value = instance.exports[name]();
    if (!Number.isSafeInteger(value))
      throw new Error(`${file}: ${name} is ${value}; only i32 and u32 constants are generated`);
    return `${doc}export const ${name} = ${value};\n`;
  });
  return `${GENERATED}// The exported constants of ${files.join(', ')}.\n\n${lines.join('')}`;
}

/** The interface of the exports, with the parameter names and doc comments of the assembly source. */
function generateExports(ts, name, entryFile, signatures) {
  const program = ts.createProgram([inRoot(entryFile)], {
    noLib: true,
    types: [],
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
  });
  const checker = program.getTypeChecker();
  const entry = checker.getSymbolAtLocation(program.getSourceFile(inRoot(entryFile)));
  const declarations = new Map();
  for (const symbol of entry ? checker.getExportsOfModule(entry) : []) {
    const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
    const declaration = target.declarations?.find((node) => ts.isFunctionDeclaration(node));
    if (declaration) declarations.set(symbol.name, declaration);
  }
  const members = signatures.map(({ name, params, result }) => {
    const declaration = declarations.get(name);
    const doc = declaration ? docComment(declaration).replace(/^/gm, '  ').trimEnd() : '';
    const list = params.map(
      (type, i) => `${declaration?.parameters[i]?.name.getText() ?? `arg${i}`}: ${type}`,
    );
    return `${doc ? `${doc}\n` : ''}  ${name}(${list.join(', ')}): ${result};\n`;
  });
  return (
    `${GENERATED}\n` +
    '/** The functions that the kernel exports. An i32 result is signed: a u32 needs `>>> 0` when its top bit can be set. */\n' +
    `export interface ${name} {\n${members.join('')}}\n`
  );
}

async function compile(hash) {
  const started = performance.now();
  // Loaded only here, because the three together take most of a second.
  const [{ default: ts }, asc, { default: binaryen }] = await Promise.all([
    import('typescript'),
    import('assemblyscript/asc'),
    import('binaryen'),
  ]);
  const modelFiles = modelSources();
  for (const target of TARGETS) {
    const outFile = `build/kernel/kernel.${target}.wasm`;
    const entry = target === 'model' ? MODEL_ENTRY : ENTRY;
    const args = [entry, '--config', 'asconfig.json', '--target', target, '--outFile', outFile];
    const bytes = (await runAsc(asc, args, target === 'model' ? modelFiles : {})).get(outFile);
    if (target === 'debug') {
      writeWhole(outFile, bytes);
      continue;
    }
    if (target === 'model') {
      const module = makeExplorable(binaryen, bytes);
      const signatures = signaturesOf(binaryen, module).filter(({ name }) => !name.startsWith('asyncify_'));
      writeWhole(outFile, module.emitBinary());
      writeWhole(
        'build/generated/model-exports.ts',
        generateExports(ts, 'ModelExports', MODEL_ENTRY, signatures),
      );
      module.dispose();
      continue;
    }
    const module = optimise(binaryen, bytes);
    const wasm = module.emitBinary();
    const wat = module.emitText();
    const signatures = signaturesOf(binaryen, module);
    module.dispose();
    const base64 = Buffer.from(wasm).toString('base64');
    writeWhole(outFile, wasm);
    writeWhole('build/kernel.wasm', wasm);
    writeWhole('build/kernel/kernel.release.wat', wat);
    writeWhole(
      'build/generated/kernel-bytes.ts',
      `${GENERATED}\n/** The release kernel. */\nexport const KERNEL_BASE64: string =\n  '${base64}';\n`,
    );
    writeWhole('build/generated/kernel-exports.ts', generateExports(ts, 'KernelExports', ENTRY, signatures));
    console.log(`kernel: ${wasm.length} bytes, ${signatures.length} exported functions`);
  }
  writeWhole('build/generated/layout.ts', await generateLayout(ts, asc, CONSTANT_FILES));
  writeWhole(
    'build/generated/layout.model.ts',
    await generateLayout(ts, asc, MODEL_CONSTANT_FILES, modelFiles),
  );
  writeWhole(STAMP, hash);
  console.log(`kernel: built in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

const hash = hashInputs();
if (isFresh(hash) && !process.argv.includes('--force')) {
  console.log('kernel: unchanged');
} else {
  await compile(hash).catch((error) => {
    console.error(`kernel: ${error.message}`);
    process.exitCode = 1;
  });
}
