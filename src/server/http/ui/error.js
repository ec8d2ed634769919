// The page for errors, in the reader's language and colours. What the server says of the error, it says in English.

import {current, put, translate} from './room/text.js';
import {dress} from './room/theme.js';

const reason = document.getElementById('reason');
dress();
translate();
if (current() !== 'en') put(reason, `error_${reason.dataset.fault}`);
document.title = `${document.querySelector('h1').textContent} – Commonroom`;
