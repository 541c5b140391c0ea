import type binaryen from 'binaryen';

export function optimise(compiler: typeof binaryen, bytes: Uint8Array): binaryen.Module;
