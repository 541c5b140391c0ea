// Bundles build/*.js for Node and for browsers; with --configTypes, the declarations build/*.d.ts instead.

import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, posix, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nodeResolve } from '@rollup/plugin-node-resolve';
import * as esbuild from 'esbuild';
import { dts } from 'rollup-plugin-dts';
import esbuildPlugin from 'rollup-plugin-esbuild';

const ROOT = dirname(fileURLToPath(import.meta.url));
const TARGET = 'es2022';
const CONSTANTS = join(ROOT, 'build/generated/layout.ts');

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const packages = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
const isPackage = (id) => packages.some((name) => id === name || id.startsWith(`${name}/`));
const isBuiltin = (id) => id.startsWith('node:') || builtinModules.includes(id);

/** Output name (without extension) -> source, of those that exist. */
const present = (entries) =>
  Object.fromEntries(Object.entries(entries).filter(([, source]) => existsSync(join(ROOT, source))));

const NODE_ENTRIES = present({
  'index.node': 'ts/index.node.ts',
  task: 'ts/task.ts',
  'worker.node': 'ts/worker.node.ts',
  cli: 'ts/cli/main.ts',
  'metrics-otel': 'ts/metrics/otel.ts',
  'metrics-prometheus': 'ts/metrics/prometheus.ts',
});
const BROWSER_ENTRIES = present({
  'index.browser': 'ts/index.browser.ts',
  'task.browser': 'ts/task.ts',
  'worker.browser': 'ts/worker.browser.ts',
});
const TYPE_ENTRIES = present({
  index: 'ts/index.node.ts',
  task: 'ts/task.ts',
  worker: 'ts/worker.node.ts',
  'metrics-otel': 'ts/metrics/otel.ts',
  'metrics-prometheus': 'ts/metrics/prometheus.ts',
});

/**
 * Puts the numbers of build/generated/layout.ts where their names are imported: they stand on hot paths, and a binding imported from
 * another module is a load where a literal is none. esbuild's `define` respects scopes, so a local of the same name stays.
 */
function inlineConstants() {
  const values = new Map();
  return {
    name: 'inline-constants',
    buildStart() {
      this.addWatchFile(CONSTANTS);
      values.clear();
      for (const [, name, value] of readFileSync(CONSTANTS, 'utf8').matchAll(
        /^export const (\w+) = (-?\d+);$/gm,
      )) {
        values.set(name, value);
      }
    },
    async transform(code, id) {
      if (!code.includes('generated/layout')) return null;
      const imports = this.parse(code).body.filter(
        (node) =>
          node.type === 'ImportDeclaration' &&
          resolve(dirname(id), node.source.value).replace(/(\.js|\.ts)?$/, '.ts') === CONSTANTS,
      );
      if (imports.length === 0) return null;
      const define = {};
      let rest = code;
      for (const { start, end, specifiers } of imports) {
        for (const specifier of specifiers) {
          if (specifier.type !== 'ImportSpecifier')
            this.error('import the constants of the layout by their names', specifier.start);
          const value = values.get(specifier.imported.name);
          if (value === undefined)
            this.error(`the layout has no constant ${specifier.imported.name}`, specifier.start);
          define[specifier.local.name] = value;
        }
        // Blanks keep every later position, so the source map stays true.
        rest = rest.slice(0, start) + rest.slice(start, end).replace(/[^\n]/g, ' ') + rest.slice(end);
      }
      return esbuild.transform(rest, {
        define,
        loader: 'js',
        target: TARGET,
        sourcemap: true,
        sourcefile: id,
      });
    },
  };
}

/**
 * Sources name another entry relative to themselves, `new URL('../worker.node.ts', import.meta.url)`; the code may end in any chunk,
 * so the path is written again from there. A relative URL that names no entry is an error, as it would point nowhere after the build.
 */
function entryUrls(entries) {
  const outputOf = new Map(
    Object.entries(entries).map(([name, source]) => [join(ROOT, source), `${name}.js`]),
  );
  const MARK = 'heddle-entry:';
  return {
    name: 'entry-urls',
    // After the types are gone, so that rollup can parse it.
    transform(code, id) {
      if (!id.startsWith(join(ROOT, 'ts')) || !code.includes('import.meta.url')) return null;
      let marked = code;
      const visit = (node) => {
        const path = relativeUrl(node);
        if (path !== undefined) {
          const output = outputOf.get(resolve(dirname(id), path.value).replace(/\.js$/, '.ts'));
          if (output === undefined)
            this.error(`${path.value} is not the source of an entry of this build`, path.start);
          marked = marked.replace(
            code.slice(node.start, node.end),
            `new URL('${MARK}${output}', import.meta.url)`,
          );
        }
        for (const child of Object.values(node)) {
          for (const each of Array.isArray(child) ? child : [child]) if (each?.type) visit(each);
        }
      };
      visit(this.parse(code));
      return { code: marked, map: null };
    },
    renderChunk(code, chunk) {
      if (!code.includes(MARK)) return null;
      const placed = code.replace(new RegExp(`${MARK}([\\w.]+)`, 'g'), (_, output) => {
        const path = posix.relative(posix.dirname(chunk.fileName), output);
        return path.startsWith('.') ? path : `./${path}`;
      });
      return { code: placed, map: null };
    },
  };
}

/** The string in `new URL('./relative', import.meta.url)`, if the node is that. */
function relativeUrl({ type, callee, arguments: args }) {
  if (type !== 'NewExpression' || callee.name !== 'URL' || args.length !== 2) return undefined;
  const [path, base] = args;
  const isRelative = path.type === 'Literal' && typeof path.value === 'string' && path.value.startsWith('.');
  const isHere =
    base.type === 'MemberExpression' && base.object.type === 'MetaProperty' && base.property.name === 'url';
  return isRelative && isHere ? path : undefined;
}

/** Fails the build when a file that a browser loads would import a Node module. */
function noBuiltins() {
  return {
    name: 'no-builtins',
    generateBundle(_, bundle) {
      for (const { fileName, imports, dynamicImports } of Object.values(bundle)) {
        const builtin = [...(imports ?? []), ...(dynamicImports ?? [])].find(isBuiltin);
        if (builtin) this.error(`${fileName} imports ${builtin}, which no browser has`);
      }
    },
  };
}

function makeExecutable(path) {
  return {
    name: 'make-executable',
    writeBundle() {
      if (existsSync(join(ROOT, path))) chmodSync(join(ROOT, path), 0o755);
    },
  };
}

const transpile = () => [
  esbuildPlugin({ target: TARGET, sourceMap: true, tsconfig: false }),
  inlineConstants(),
];

const output = (chunks) => ({
  dir: 'build',
  format: 'es',
  entryFileNames: '[name].js',
  chunkFileNames: `${chunks}/[name].js`,
  sourcemap: true,
  hoistTransitiveImports: false,
  generatedCode: 'es2015',
});

const node = {
  input: NODE_ENTRIES,
  output: output('chunks'),
  external: (id) => isBuiltin(id) || isPackage(id),
  plugins: [...transpile(), entryUrls(NODE_ENTRIES), makeExecutable('build/cli.js')],
};

// A worker has no import map, so what a browser loads brings its packages along.
const browser = {
  input: BROWSER_ENTRIES,
  output: output('chunks/browser'),
  external: isBuiltin,
  plugins: [nodeResolve({ browser: true }), ...transpile(), entryUrls(BROWSER_ENTRIES), noBuiltins()],
};

const types = {
  input: TYPE_ENTRIES,
  output: { dir: 'build', format: 'es', entryFileNames: '[name].d.ts', chunkFileNames: 'chunks/[name].d.ts' },
  external: (id) => isBuiltin(id) || isPackage(id),
  plugins: [dts()],
};

export default ({ configTypes = false }) =>
  (configTypes ? [types] : [node, browser]).filter(({ input }) => Object.keys(input).length > 0);
