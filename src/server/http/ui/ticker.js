// A worker that only ticks: the browser slows down the timers of a hidden page, but not those of its workers.

self.addEventListener('message', ({data: milliseconds}) => setInterval(() => self.postMessage(null), milliseconds));
