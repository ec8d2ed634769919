// What browsers have and the node of Debian 12 does not.

import {webcrypto} from 'node:crypto';

globalThis.crypto ??= webcrypto;
