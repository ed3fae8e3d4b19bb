// SPDX-License-Identifier: Apache-2.0
// A renewed certificate without --config: viewers that come get it, by itself and on SIGHUP, which ends nothing.
import t from 'tap';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { until } from '../../tools/netns/wait.js';
import { Authority, type Issued } from '../fixtures/tls.js';
import { freePort, Product, temporaryFolder } from './product.js';

t.setTimeout(60_000);

function shown(port: number, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, ca, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

t.test('the files change, SIGHUP comes: it goes on, with the new ones', async (t) => {
  const folder = temporaryFolder();
  const authority = new Authority(folder);
  const [certificate, key] = [join(folder, 'live.pem'), join(folder, 'live-key.pem')];
  const put = (issued: Issued) => {
    copyFileSync(issued.key, key);
    copyFileSync(issued.certificate, certificate);
    return issued.fingerprint.toUpperCase();
  };
  const first = put(authority.issue('IP:127.0.0.1'));
  const port = await freePort();
  const product = await Product.start({
    ...{ engine: 'userspace', source: 'rtsp://127.0.0.1:9/x', host: '127.0.0.1', port: await freePort() },
    more: ['--tls-listen', `127.0.0.1:${port}`, '--tls-certificate', certificate, '--tls-key', key],
  });
  t.equal(await shown(port, authority.certificate), first);
  const second = put(authority.issue('IP:127.0.0.1'));
  await until(
    'the second certificate',
    async () => (await shown(port, authority.certificate)) === second,
    20_000,
  );
  const read = product.child.stderr.split('the certificate was read again').length;
  product.child.signal('SIGHUP');
  await until(
    'to read it again',
    () => product.child.stderr.split('the certificate was read again').length > read,
    20_000,
  );
  t.equal(await shown(port, authority.certificate), second);
  t.match(await product.status(), { viewers: 0 }, 'it goes on');
  await product.stop();
});
