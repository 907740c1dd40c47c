// Copies files into a built site under names that depend on their content, like those of cargo-leptos, and compresses
// what browsers load, so that the server need not do it for each request.
//
//   node script/lib/publish.mjs SITE FILE...

import { createHash } from 'node:crypto';
import { appendFileSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const [site, ...files] = process.argv.slice(2);
const folder = join(site, 'pkg');

for (const file of files) {
  const content = readFileSync(file);
  const hash = createHash('md5').update(content).digest('base64url');
  const kind = extname(file);
  writeFileSync(join(folder, `${basename(file, kind)}.${hash}${kind}`), content);
  appendFileSync(join(site, 'hash.txt'), `\n${basename(file)}: ${hash}`);
}

for (const name of readdirSync(folder).filter((name) => /\.(css|js|wasm)$/.test(name))) {
  const path = join(folder, name);
  const content = readFileSync(path);
  // Development builds are larger and more frequent.
  const isLarge = content.length > 4_000_000;
  const quality = isLarge ? 1 : constants.BROTLI_MAX_QUALITY;
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: quality,
    [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
    [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
  };
  writeFileSync(`${path}.br`, brotliCompressSync(content, { params }));
  writeFileSync(`${path}.gz`, gzipSync(content, { level: isLarge ? 1 : 9 }));
}
