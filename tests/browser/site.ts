import { mkdir, readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nodeResolve } from '@rollup/plugin-node-resolve';
import { rollup } from 'rollup';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
};
const BUILD = fileURLToPath(new URL('../../build', import.meta.url));

/** Bundles the page, its tasks and its worker as a user of the package would. */
export async function bundleSite(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const source = (name: string): string => fileURLToPath(new URL(`./page/${name}.js`, import.meta.url));
  const bundle = await rollup({
    input: { page: source('page'), tasks: source('tasks'), worker: source('worker') },
    plugins: [nodeResolve({ browser: true })],
    onwarn: ({ message }) => {
      throw new Error(`rollup warns: ${message}`);
    },
  });
  try {
    await bundle.write({ dir: folder, format: 'es', entryFileNames: '[name].js' });
  } finally {
    await bundle.close();
  }
}

/**
 * Serves `folder` on a free port of loopback. Below `/isolated/` with the two headers that isolate a page, below `/plain/` without, below
 * `/half/` with them for pages only. `build` in place of a file's folder is the package as it is built, without a bundler.
 */
export async function serveSite(folder: string): Promise<{ origin: string; server: Server }> {
  const server = createServer(async (request, response) => {
    const [, mode = '', ...rest] = new URL(request.url ?? '/', 'http://localhost').pathname.split('/');
    const path = rest.join('/') || 'index.html';
    const extension = extname(path);
    if (mode === 'isolated' || (mode === 'half' && extension === '.html')) {
      response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
      response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    }
    response.setHeader('Content-Type', TYPES[extension] ?? 'application/octet-stream');
    try {
      const isBuild = path.startsWith('build/');
      const body =
        path === 'index.html'
          ? '<!doctype html><title>heddle</title><link rel="icon" href="data:,">'
          : await readFile(isBuild ? join(BUILD, path.slice('build/'.length)) : join(folder, path));
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}
