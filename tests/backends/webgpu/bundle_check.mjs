// Compiles and runs the programs of a bundle (bundle.h) on a WebGPU device and compares every written buffer.
// Used by dawn_check.mjs in Node and by browser_check.mjs in a page: no import, no file, only the WebGPU API.

/// Opens a device with what the cases may use. Returns {device, features, notes}.
export async function openDevice(gpu) {
  const adapter = await gpu.requestAdapter();
  if (!adapter) throw new Error('no adapter');
  const wanted = ['subgroups', 'subgroup-size-control', 'shader-f16'].filter((name) => adapter.features.has(name));
  const limits = {};
  for (const name of ['maxStorageBufferBindingSize', 'maxBufferSize', 'maxComputeWorkgroupStorageSize',
    'maxComputeInvocationsPerWorkgroup', 'maxComputeWorkgroupSizeX', 'maxStorageBuffersPerShaderStage']) {
    limits[name] = adapter.limits[name];
  }
  const device = await adapter.requestDevice({requiredFeatures: wanted, requiredLimits: limits});
  const features = new Set(wanted);
  if (gpu.wgslLanguageFeatures.has('immediate_address_space') && adapter.limits.maxImmediateSize >= 64) {
    features.add('immediates');
  }
  const info = adapter.info;
  return {device, features, adapter: `${info.vendor} ${info.description || info.device}`, subgroup: info.subgroupMinSize};
}

/// Runs all cases. `report(line)` hears of each failure. Returns {passed, failed, skipped}.
export async function runBundle({device, features, subgroup}, bundle, report) {
  const counts = {passed: 0, failed: 0, skipped: 0};
  for (const test of bundle.cases) {
    const missing = test.needs.filter((name) => !features.has(name));
    if (missing.length > 0 || (test.subgroup_size > 1 && test.subgroup_size !== subgroup)) {
      ++counts.skipped;
      continue;
    }
    let problem;
    try {
      problem = await runCase(device, test);
    } catch (error) {
      problem = String(error && error.message || error);
    }
    if (problem === '') {
      ++counts.passed;
    } else {
      ++counts.failed;
      report(`${test.name}: ${problem}`);
    }
  }
  return counts;
}

async function runCase(device, test) {
  for (const filter of ['internal', 'out-of-memory', 'validation']) device.pushErrorScope(filter);
  let results = [];
  let thrown = '';
  try {
    results = await dispatch(device, test);
  } catch (error) {
    thrown = String(error && error.message || error);
  }
  let problem = '';
  for (let i = 0; i < 3; ++i) {
    const error = await device.popErrorScope();
    if (error && problem === '') problem = error.message;
  }
  if (problem !== '' || thrown !== '') return thrown || problem;
  if (results === null) return '';
  for (let i = 0; i < test.bindings.length; ++i) {
    if (!test.bindings[i].written) continue;
    const difference = compare(test, i, results[i]);
    if (difference !== '') return `binding ${i} ${difference}`;
  }
  return '';
}

async function dispatch(device, test) {
  const module = device.createShaderModule({code: test.wgsl});
  const errors = (await module.getCompilationInfo()).messages.filter((message) => message.type === 'error');
  if (errors.length > 0) throw new Error(errors.map((m) => `line ${m.lineNum}:${m.linePos} ${m.message}`).join('; '));
  if (test.only_compile) return null;
  const immediates = test.needs.includes('immediates');
  const buffers = device.createBindGroupLayout({entries: test.bindings.map((binding, index) => ({
    binding: index, visibility: GPUShaderStage.COMPUTE,
    buffer: {type: binding.written ? 'storage' : 'read-only-storage'}}))});
  const layouts = [buffers];
  let paramsLayout = null;
  if (test.params.length > 0 && !immediates) {
    paramsLayout = device.createBindGroupLayout({entries: [
      {binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: {type: 'uniform'}}]});
    layouts.push(paramsLayout);
  }
  const layout = device.createPipelineLayout(
      {bindGroupLayouts: layouts, immediateSize: immediates ? 4 * test.params.length : 0});
  const pipeline = await device.createComputePipelineAsync({layout, compute: {module, entryPoint: 'main'}});

  const made = test.bindings.map((binding) => {
    const size = Math.max(16, Math.ceil(binding.words.length / 4) * 16);
    const buffer = device.createBuffer(
        {size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST});
    device.queue.writeBuffer(buffer, 0, new Uint32Array(binding.words));
    return {buffer, size};
  });
  const group = device.createBindGroup({layout: buffers, entries: made.map(({buffer}, index) => ({
    binding: index, resource: {buffer}}))});
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  if (paramsLayout) {
    const buffer = device.createBuffer({size: 64, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST});
    device.queue.writeBuffer(buffer, 0, new Uint32Array(test.params));
    pass.setBindGroup(1, device.createBindGroup({layout: paramsLayout, entries: [{binding: 0, resource: {buffer}}]}));
  } else if (immediates && test.params.length > 0) {
    pass.setImmediates(0, new Uint32Array(test.params));
  }
  pass.dispatchWorkgroups(...test.workgroups);
  pass.end();
  const staging = made.map(({buffer, size}) => {
    const copy = device.createBuffer({size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST});
    encoder.copyBufferToBuffer(buffer, 0, copy, 0, size);
    return copy;
  });
  device.queue.submit([encoder.finish()]);
  const results = [];
  for (let i = 0; i < staging.length; ++i) {
    await staging[i].mapAsync(GPUMapMode.READ);
    results.push(new Uint32Array(staging[i].getMappedRange().slice(0)).subarray(0, test.bindings[i].words.length));
    staging[i].destroy();
    made[i].buffer.destroy();
  }
  return results;
}

function compare(test, binding, found) {
  const bits = new Uint32Array(2);
  const numbers = new Float32Array(bits.buffer);
  const expected = test.bindings[binding].expected;
  for (let i = 0; i < expected.length; ++i) {
    if (expected[i] === found[i]) continue;
    bits[0] = expected[i];
    bits[1] = found[i];
    const difference = Math.abs(numbers[0] - numbers[1]);
    if (binding === 1 && test.rules.length > 0) {
      const [isNumber, relative, absolute] = test.rules[i % test.rules.length];
      if (isNumber && difference <= relative * Math.abs(numbers[0]) + absolute) continue;
    }
    if (test.f32_results && difference <= 2 ** -19 * Math.max(1, Math.abs(numbers[0]))) continue;
    // A result of fma may be rounded twice.
    if (binding === 1 && i % test.results === test.unfused && difference <= test.unfused_error) continue;
    return `word ${i}: expected ${expected[i].toString(16)} (${numbers[0]}), found ${found[i].toString(16)} (${numbers[1]})`;
  }
  return '';
}
