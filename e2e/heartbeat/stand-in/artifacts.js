// What the stand-ins share: pictures, steps, and the report that the test reads.
//
// STAND_IN_SCREENSHOTS makes pictures fail (`fail`) or never come (`hang`).
'use strict';

const os = require('os');
const path = require('path');

const report = { steps: [], launches: 0 };
let pictures = 0;

const LAUNCH = {
  executablePath: process.env.STAND_IN_CHROMIUM,
  headless: true,
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    // Nothing leaves this machine, and a name that isn't there is one at once.
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
  ],
};

// Fails or never ends, if that is what the test asks for.
async function disturb() {
  if (process.env.STAND_IN_SCREENSHOTS === 'fail') throw new Error('the picture is broken');
  if (process.env.STAND_IN_SCREENSHOTS === 'hang') await new Promise(() => {});
}

// As the libraries name their pictures: counted, by step and occasion.
async function photograph(page, name) {
  await disturb();
  pictures += 1;
  await page.screenshot({ path: path.join(os.tmpdir(), `${String(pictures).padStart(2, '0')}-${name}.png`) });
}

// As the libraries' executeStep: pictures around the step unless they are switched off, and an error is thrown on
// unless `continueOnStepFailure`, which one of AWS's two tables has as the default.
async function step(name, run, config, page) {
  if (typeof name !== 'string' || !/^[\x21-\x7e]+$/.test(name)) throw new Error(`not the name of a step: ${name}`);
  const settings = {
    continueOnStepFailure: true,
    screenshotOnStepStart: true,
    screenshotOnStepSuccess: true,
    screenshotOnStepFailure: true,
    ...config,
  };
  if (settings.screenshotOnStepStart) await photograph(page, `${name}-starting`);
  try {
    const result = await run();
    report.steps.push({ name, passed: true });
    if (settings.screenshotOnStepSuccess) await photograph(page, `${name}-succeeded`);
    return result;
  } catch (error) {
    report.steps.push({ name, passed: false, error: error.message });
    if (settings.screenshotOnStepFailure) await photograph(page, `${name}-failed`);
    if (!settings.continueOnStepFailure) throw error;
    return undefined;
  }
}

module.exports = { LAUNCH, disturb, photograph, report, step };
