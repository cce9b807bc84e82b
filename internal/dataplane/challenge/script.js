(function () {
'use strict';
// Old syntax throughout: the oldest phones are those that must not be left out.
var form = document.getElementById('form');
var say = document.getElementById('status');
var seed = form.elements.seed.value;
var bits = +form.getAttribute('data-bits');
var over = false;

// solver returns a function that tries count numbers from n on and returns the one that
// answers, or -1. One block of SHA-256 (FIPS 180-4): 42 bytes of seed, 8 of the number, padding.
// It is made a text for the worker, so it uses nothing from outside.
function solver(seed, bits) {
  var hex = '428a2f9871374491b5c0fbcfe9b5dba53956c25b59f111f1923f82a4ab1c5ed5' +
    'd807aa9812835b01243185be550c7dc372be5d7480deb1fe9bdc06a7c19bf174' +
    'e49b69c1efbe47860fc19dc6240ca1cc2de92c6f4a7484aa5cb0a9dc76f988da' +
    '983e5152a831c66db00327c8bf597fc7c6e00bf3d5a7914706ca635114292967' +
    '27b70a852e1b21384d2c6dfc53380d13650a7354766a0abb81c2c92e92722c85' +
    'a2bfe8a1a81a664bc24b8b70c76c51a3d192e819d6990624f40e3585106aa070' +
    '19a4c1161e376c082748774c34b0bcb5391c0cb34ed8aa4a5b9cca4f682e6ff3' +
    '748f82ee78a5636f84c878148cc7020890befffaa4506cebbef9a3f7c67178f2';
  var k = new Int32Array(64), w = new Int32Array(64), i;
  for (i = 0; i < 64; i++) k[i] = parseInt(hex.substr(i * 8, 8), 16);
  var raw = atob(seed.replace(/-/g, '+').replace(/_/g, '/'));
  for (i = 0; i < raw.length; i++) w[i >> 2] |= raw.charCodeAt(i) << (24 - (i & 3) * 8);
  // The length of the message in bits ends the block.
  w[15] = 400;
  return function (n, count) {
    for (var end = n + count; n < end; n++) {
      w[11] = n >>> 16;
      w[12] = n << 16 | 0x8000;
      var i, x, y, t, u;
      for (i = 16; i < 64; i++) {
        x = w[i - 15];
        y = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] +
          ((x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3) +
          ((y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10) | 0;
      }
      var a = 0x6a09e667, b = 0xbb67ae85 | 0, c = 0x3c6ef372, d = 0xa54ff53a | 0;
      var e = 0x510e527f, f = 0x9b05688c | 0, g = 0x1f83d9ab, h = 0x5be0cd19;
      for (i = 0; i < 64; i++) {
        t = h + ((e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7)) +
          (e & f ^ ~e & g) + k[i] + w[i] | 0;
        u = ((a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10)) +
          (a & b ^ a & c ^ b & c) | 0;
        h = g; g = f; f = e; e = d + t | 0;
        d = c; c = b; b = a; a = t + u | 0;
      }
      if ((a + 0x6a09e667 | 0) >>> (32 - bits) === 0) return n;
    }
    return -1;
  };
}

function finish(n) {
  if (over) return;
  over = true;
  say.textContent = 'Done. Going on to the page.';
  form.elements.answer.value = n;
  form.elements.to.value = location.pathname + location.search;
  // The browser carries the fragment over the redirects that follow.
  form.action = form.getAttribute('action') + location.hash;
  form.submit();
}

// here solves in slices on the page's own thread, so that it stays usable.
function here() {
  var run = solver(seed, bits), n = 0;
  (function slice() {
    var until = Date.now() + 20, found;
    do {
      found = run(n, 256);
      n += 256;
    } while (found < 0 && Date.now() < until);
    if (found < 0) setTimeout(slice, 0); else finish(found);
  })();
}

function away() {
  var text = 'onmessage=function(e){postMessage(-1);var run=(' + solver + ')(e.data[0],e.data[1]),n=0,r;' +
    'do{r=run(n,4096);n+=4096}while(r<0);postMessage(r)}';
  var url = URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
  var worker = new Worker(url), alive = false, left = false;
  function back() {
    if (alive || left) return;
    left = true;
    worker.terminate();
    here();
  }
  worker.onerror = back;
  setTimeout(back, 2000);
  worker.onmessage = function (e) {
    alive = true;
    if (e.data >= 0 && !left) finish(e.data);
  };
  worker.postMessage([seed, bits]);
}

// Back to a page kept in memory: its seed is spent, so ask anew.
window.addEventListener('pageshow', function (e) { if (e.persisted) location.reload(); });

document.getElementById('spin').hidden = false;
say.textContent = 'Calculating. This takes a second or two.';
try { away(); } catch (e) { here(); }
})();
