// node browser_check.mjs FOLDER BUNDLE CHROMIUM: runs a bundle in a page of headless Chromium (npm package
// playwright-core, below FOLDER). Output and exit status as dawn_check.mjs.
import {readFileSync} from 'node:fs';
import {createServer} from 'node:http';
import {createRequire} from 'node:module';
import {dirname} from 'node:path';
import {fileURLToPath} from 'node:url';

const [folder, file, executablePath] = process.argv.slice(2);
const {chromium} = createRequire(folder + '/')('playwright-core');
const here = dirname(fileURLToPath(import.meta.url));
const server = createServer((request, response) => {
  const files = {'/bundle_check.mjs': [here + '/bundle_check.mjs', 'text/javascript'], '/bundle.json': [file, 'application/json']};
  const [path, type] = files[request.url] ?? [null, 'text/html'];
  response.writeHead(200, {'content-type': type});
  response.end(path ? readFileSync(path) : '<!doctype html><title>bundle</title>');
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));  // WebGPU needs a secure context
let status = 1;
const browser = await chromium.launch({executablePath, args: [
  '--enable-unsafe-webgpu', '--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync']});
try {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const result = await page.evaluate(async () => {
    if (!navigator.gpu) return {lines: ['no device: the page has no navigator.gpu']};
    const {openDevice, runBundle} = await import('/bundle_check.mjs');
    const lines = [];
    let opened;
    try {
      opened = await openDevice(navigator.gpu);
    } catch (error) {
      return {lines: [`no device: ${error.message}`]};
    }
    lines.push(`Chromium on ${opened.adapter}, subgroup ${opened.subgroup}, ${[...opened.features].join(' ')}`);
    const bundle = await (await fetch('/bundle.json')).json();
    return {lines, counts: await runBundle(opened, bundle, (line) => lines.push(line))};
  });
  for (const line of result.lines) console.log(line);
  if (!result.counts) {
    status = 77;
  } else {
    const {passed, failed, skipped} = result.counts;
    console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
    status = failed === 0 ? 0 : 1;
  }
} finally {
  await browser.close();
  server.close();
}
process.exit(status);
