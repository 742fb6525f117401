// What both heartbeats share: their settings, the names of their steps, and the sentences by which a page fails.
'use strict';

const os = require('os');

// Long addresses would fill the reason that AWS keeps of a run.
const LONGEST_SHOWN = 200;
// CloudWatch takes more, but a screenshot's file is named by its step.
const LONGEST_NAME = 64;
const LONGEST_SCREENSHOT_MS = 5_000;
// Less isn't worth a try.
const SHORTEST_SCREENSHOT_MS = 500;
// A page whose script never ends can't be left in peace: it is replaced soon.
const LONGEST_BLANK_MS = 2_000;
const SHORTEST_PAGE_MS = 1_000;

// Why a browser came back without an answer (Chromium: net/base/net_error_list.h).
const NETWORK_ERRORS = {
  ERR_ABORTED: 'no page came: it is a download, or an answer without content',
  ERR_ADDRESS_UNREACHABLE: 'the address is unreachable',
  ERR_CERT_AUTHORITY_INVALID: "the certificate isn't from a known authority",
  ERR_CERT_COMMON_NAME_INVALID: 'the certificate is for another name',
  ERR_CERT_DATE_INVALID: "the certificate has expired or isn't valid yet",
  ERR_CONNECTION_CLOSED: 'the connection was closed',
  ERR_CONNECTION_REFUSED: 'connection refused',
  ERR_CONNECTION_RESET: 'connection reset',
  ERR_CONNECTION_TIMED_OUT: 'connect timed out',
  ERR_EMPTY_RESPONSE: 'the connection was closed without an answer',
  ERR_INTERNET_DISCONNECTED: 'there is no network',
  ERR_NAME_NOT_RESOLVED: "the name doesn't resolve",
  ERR_SSL_PROTOCOL_ERROR: 'the TLS handshake failed',
  ERR_SSL_VERSION_OR_CIPHER_MISMATCH: 'the TLS handshake failed: no common version or cipher',
  ERR_TIMED_OUT: 'connect timed out',
  ERR_TOO_MANY_REDIRECTS: 'redirects without end',
};

// A page that didn't load, in a sentence for people.
class PageFailure extends Error {}

// The first of `names` that this runtime has: AWS renamed its library, and old and new runtimes are both in use.
function library(load, names) {
  for (const name of names) {
    try {
      return load(name);
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND' || !error.message.includes(name)) throw error;
    }
  }
  throw new Error(`this runtime has no Synthetics library: looked for ${names.join(', ')}`);
}

function setting(environment, name) {
  const value = environment[name];
  if (value === undefined || value === '') throw new Error(`the environment variable ${name} is missing`);
  return value;
}

function milliseconds(environment, name) {
  const value = Number(setting(environment, name));
  if (!Number.isInteger(value) || value <= 0) {
    throw new Error(`the environment variable ${name} isn't a number of milliseconds`);
  }
  return value;
}

function settings(environment) {
  let urls;
  try {
    urls = JSON.parse(setting(environment, 'TIDEWATCH_URLS'));
  } catch (error) {
    throw new Error(`the environment variable TIDEWATCH_URLS isn't a JSON array of addresses: ${error.message}`);
  }
  return {
    urls,
    pageTimeout: milliseconds(environment, 'TIDEWATCH_PAGE_TIMEOUT_MS'),
    budget: milliseconds(environment, 'TIDEWATCH_BUDGET_MS'),
    screenshot: setting(environment, 'TIDEWATCH_SCREENSHOT') === 'true',
  };
}

// One name for each address, made of host and path: what the metrics of a step are found by.
function stepNames(urls) {
  const used = new Set();
  return urls.map((url) => {
    const readable = url
      .replace(/^https?:\/\//, '')
      .replace(/[?#].*$/, '')
      .replace(/[^A-Za-z0-9._]+/g, '-')
      .replace(/^-+|-+$/g, '')
      .slice(0, LONGEST_NAME);
    const base = readable === '' ? 'page' : readable;
    let name = base;
    for (let number = 2; used.has(name); number += 1) name = `${base}-${number}`;
    used.add(name);
    return name;
  });
}

function shown(url) {
  return url.length > LONGEST_SHOWN ? `${url.slice(0, LONGEST_SHOWN)}…` : url;
}

function seconds(ms) {
  return `${Math.round(ms / 100) / 10}s`;
}

// What went wrong when `page.goto` threw; drivers put Chromium's own code into their message.
function whyNot(error, url, pageTimeout) {
  if (error.name === 'TimeoutError') return `${shown(url)} didn't load within ${seconds(pageTimeout)}`;
  const code = /net::(ERR_[A-Z_]+)/.exec(error.message);
  if (code !== null) return `${shown(url)}: ${NETWORK_ERRORS[code[1]] || `the browser says ${code[1]}`}`;
  return `${shown(url)}: ${error.message.split('\n')[0]}`;
}

// Loads `url` until its document is complete. Answers with the last status, redirects followed, and throws a
// PageFailure unless that is 2xx or 3xx.
async function load(page, url, pageTimeout) {
  let status;
  const heed = (response) => {
    const request = response.request();
    if (request.isNavigationRequest() && request.frame() === page.mainFrame()) status = response.status();
  };
  page.on('response', heed);
  try {
    const response = await page.goto(url, { waitUntil: 'domcontentloaded', timeout: pageTimeout });
    if (response) status = response.status();
  } catch (error) {
    // Chromium shows a page of its own for an error without a body, which the drivers tell as a failed navigation.
    if (status === undefined || !error.message.includes('ERR_HTTP_RESPONSE_CODE_FAILURE')) {
      throw new PageFailure(whyNot(error, url, pageTimeout));
    }
  } finally {
    page.off('response', heed);
  }
  if (status === undefined) throw new PageFailure(`${shown(url)} gave no answer`);
  if (status < 200 || status > 399) throw new PageFailure(`${shown(url)} answered ${status}`);
  return status;
}

// Takes a picture by `take(limit)`, if there is time that no page needs. That it fails says nothing of the page.
async function picture(name, spare, take) {
  const limit = Math.min(spare, LONGEST_SCREENSHOT_MS);
  if (limit < SHORTEST_SCREENSHOT_MS) {
    console.log(`${name}: no screenshot, since the other pages need the time`);
    return;
  }
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not taken within ${seconds(limit)}`)), limit);
  });
  const taken = (async () => take(limit))();
  taken.catch(() => {});
  try {
    await Promise.race([taken, late]);
  } catch (error) {
    console.log(`${name}: no screenshot: ${error.message.split('\n')[0]}`);
  } finally {
    clearTimeout(timer);
  }
}

// A page to load the next address in: the same one made blank, or a new one where that doesn't work any more.
async function blank(page, replace) {
  try {
    await page.goto('about:blank', { timeout: LONGEST_BLANK_MS });
    return page;
  } catch (error) {
    console.log(`the page is replaced: ${error.message.split('\n')[0]}`);
    return replace();
  }
}

// Loads every address, each in a step, and throws if any failed: all are tried, and each failure is named.
//
// `driver` is what the runtimes differ in: open() and replace() answer with a page, step(name, run, page) runs a step,
// screenshot(name, page, limit) takes a picture.
async function heartbeat(environment, driver) {
  const { urls, pageTimeout, budget, screenshot } = settings(environment);
  const names = stepNames(urls);
  const deadline = Date.now() + budget;
  const failures = [];
  let page = await driver.open();
  for (const [index, url] of urls.entries()) {
    const name = names[index];
    let failure;
    // What the browser's start and its replacement cost beyond their share must not end the run unexplained.
    const left = () => Math.max(SHORTEST_PAGE_MS, Math.min(pageTimeout, deadline - Date.now()));
    if (index > 0) page = await blank(page, driver.replace);
    try {
      await driver.step(name, async () => {
        const began = Date.now();
        try {
          const status = await load(page, url, left());
          console.log(`${shown(url)} answered ${status}, and its document was there after ${Date.now() - began} ms`);
        } catch (error) {
          // Kept here, since a runtime may be told to go on after a step that failed.
          failure = error;
          throw error;
        }
      }, page);
    } catch (error) {
      failure = failure || error;
    }
    if (failure !== undefined) {
      console.log(failure.message);
      failures.push(failure.message);
    }
    if (screenshot) {
      const spare = deadline - Date.now() - (urls.length - index - 1) * pageTimeout;
      await picture(name, spare, (limit) => driver.screenshot(name, page, limit));
    }
  }
  if (failures.length === 0) return urls.length === 1 ? 'the page loaded' : `${urls.length} pages loaded`;
  const count = urls.length === 1 ? '' : `${failures.length} of ${urls.length} pages failed: `;
  throw new Error(count + failures.join('; '));
}

// Lambda's only folder that can be written to; what is in it is uploaded to the canary's artifacts.
function artifact(name) {
  return `${os.tmpdir()}/${name}.png`;
}

module.exports = { artifact, heartbeat, library, stepNames };
