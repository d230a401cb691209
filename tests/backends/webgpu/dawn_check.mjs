// node dawn_check.mjs FOLDER BUNDLE: runs a bundle on Dawn in Node (npm package webgpu, below FOLDER).
// Last line: "N passed, N failed, N skipped"; exit status 1 on a failure, 77 when there is no device.
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {pathToFileURL} from 'node:url';
import {openDevice, runBundle} from './bundle_check.mjs';

const [folder, file] = process.argv.slice(2);
const require = createRequire(folder + '/');
const {create, globals} = await import(pathToFileURL(require.resolve('webgpu')).href);
Object.assign(globalThis, globals);
globalThis.gpu = create([]);  // Dawn is gone when this is collected, whatever else is alive
let opened;
try {
  opened = await openDevice(globalThis.gpu);
} catch (error) {
  console.log(`no device: ${error.message}`);
  process.exit(77);
}
console.log(`Dawn on ${opened.adapter}, subgroup ${opened.subgroup}, ${[...opened.features].join(' ')}`);
const counts = await runBundle(opened, JSON.parse(readFileSync(file, 'utf8')), console.log);
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exit(counts.failed === 0 ? 0 : 1);  // Dawn's threads keep Node alive otherwise
