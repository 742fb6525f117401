// A stand-in for the library of syn-nodejs-playwright, of the functions that our heartbeat calls.
//
// From AWS's guide (CloudWatch_Synthetics_Canaries_Nodejs_Playwright):
// - the script opens the browser by launch(), which closes one that is open, and closes it by close();
// - newPage(browser) answers with a page in a context of its own;
// - executeStep(name, function, config, page).
'use strict';

const { chromium } = require('playwright-core');
const { LAUNCH, disturb, report, step } = require('stand-in-artifacts');

let browser;

const synthetics = {
  async launch(options = {}) {
    await synthetics.close();
    report.launches += 1;
    browser = await chromium.launch({ ...LAUNCH, ...options });
    return browser;
  },
  async newPage(of) {
    const page = await of.newPage();
    const screenshot = page.screenshot.bind(page);
    page.screenshot = (options) => disturb().then(() => screenshot(options));
    return page;
  },
  async close() {
    const open = browser;
    browser = undefined;
    if (open !== undefined) await open.close();
  },
  executeStep: (name, run, config, page) => step(name, run, config, page),
};

module.exports = { synthetics };
// What the runtime does around the script; not part of the library.
module.exports.runtime = { report, before: async () => {}, after: synthetics.close, isOpen: () => browser !== undefined };
