// Tidewatch's heartbeat for syn-nodejs-puppeteer: loads pages in the browser that the runtime has opened.
// (AWS: CloudWatch_Synthetics_Canaries_Library_Nodejs)
'use strict';

const { heartbeat, library } = require('./pages');

// The second was its name before syn-nodejs-puppeteer-13.1.
const synthetics = library(require, ['@aws/synthetics-puppeteer', 'Synthetics']);

// The runtime's own pictures are off: whether they fail a step isn't stated.
const STEP = {
  continueOnStepFailure: false,
  screenshotOnStepStart: false,
  screenshotOnStepSuccess: false,
  screenshotOnStepFailure: false,
};

// Pages that open a dialog wait for an answer, which nobody would give.
function undisturbed(page) {
  page.on('dialog', (dialog) => dialog.dismiss().catch(() => {}));
  return page;
}

const driver = {
  open: async () => undisturbed(await synthetics.getPage()),
  replace: async () => {
    await synthetics.launch();
    return driver.open();
  },
  step: (name, run) => synthetics.executeStep(name, run, STEP),
  screenshot: (name) => synthetics.takeScreenshot(name, 'loaded'),
};

exports.handler = async () => {
  try {
    return await heartbeat(process.env, driver);
  } finally {
    // Runtimes without close() do it themselves once the script has ended.
    if (typeof synthetics.close === 'function') {
      await synthetics.close().catch((error) => console.log(`the browser didn't close: ${error.message}`));
    }
  }
};
