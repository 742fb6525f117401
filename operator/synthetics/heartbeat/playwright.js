// Tidewatch's heartbeat for syn-nodejs-playwright: opens a browser, loads pages, closes it.
// (AWS: CloudWatch_Synthetics_Canaries_Nodejs_Playwright)
'use strict';

const { artifact, heartbeat, library } = require('./pages');

// The second was its name in the first runtimes.
const { synthetics } = library(require, ['@aws/synthetics-playwright', '@amzn/synthetics-playwright']);

// AWS's guide states two defaults for each of these.
const STEP = {
  continueOnStepFailure: false,
  screenshotOnStepStart: false,
  screenshotOnStepSuccess: false,
  screenshotOnStepFailure: false,
};

let browser;

const driver = {
  open: async () => {
    // It closes a browser that was open.
    browser = await synthetics.launch();
    return synthetics.newPage(browser);
  },
  replace: () => synthetics.newPage(browser).catch(() => driver.open()),
  step: (name, run, page) => synthetics.executeStep(name, run, STEP, page),
  screenshot: (name, page, limit) => page.screenshot({ path: artifact(`${name}-loaded`), timeout: limit }),
};

exports.handler = async () => {
  try {
    return await heartbeat(process.env, driver);
  } finally {
    await synthetics.close().catch((error) => console.log(`the browser didn't close: ${error.message}`));
  }
};
