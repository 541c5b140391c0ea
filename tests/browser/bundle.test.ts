import { existsSync, readFileSync } from 'node:fs';
import { dirname, posix, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const BUILD = fileURLToPath(new URL('../../build', import.meta.url));

/** What a file imports, exports from, or imports on demand by a name that stands there. */
function specifiersOf(text: string): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    const from =
      ts.isImportDeclaration(node) || ts.isExportDeclaration(node)
        ? node.moduleSpecifier
        : ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
          ? node.arguments[0]
          : undefined;
    if (from !== undefined && ts.isStringLiteral(from)) found.push(from.text);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('module.js', text, ts.ScriptTarget.Latest, false, ts.ScriptKind.JS));
  return found;
}

/** Every file that loads with `entry`, and what of it no browser could load. */
function load(entry: string): { files: string[]; foreign: string[] } {
  const files = new Set<string>();
  const foreign: string[] = [];
  const visit = (path: string): void => {
    if (files.has(path)) return;
    files.add(path);
    for (const specifier of specifiersOf(readFileSync(path, 'utf8'))) {
      if (/^\.\.?\//.test(specifier)) visit(resolve(dirname(path), specifier));
      else foreign.push(`${posix.relative(BUILD, path)}: ${specifier}`);
    }
  };
  visit(resolve(BUILD, entry));
  return { files: [...files], foreign };
}

describe('what a browser loads', () => {
  it.each(['index.browser.js', 'worker.browser.js', 'task.browser.js'])(
    'build/%s imports nothing but its own files',
    (entry) => {
      const { files, foreign } = load(entry);
      expect(foreign).toEqual([]);
      expect(files.length).toBeGreaterThan(1);
    },
  );

  it('finds the worker beside it', () => {
    const urls = load('index.browser.js').files.flatMap((path) =>
      [...readFileSync(path, 'utf8').matchAll(/new URL\(\s*['"](\.[^'"]+)['"],\s*import\.meta\.url/g)].map(
        ([, url]) => resolve(dirname(path), url!),
      ),
    );
    expect(urls).toEqual([resolve(BUILD, 'worker.browser.js')]);
    expect(urls.every((path) => existsSync(path))).toBe(true);
  });

  it('would see a foreign import', () => {
    expect(load('index.node.js').foreign.some((line) => line.includes('node:'))).toBe(true);
    expect(specifiersOf("export * from 'a'; const b = await import('b'); import 'node:c';")).toEqual([
      'a',
      'b',
      'node:c',
    ]);
  });
});
