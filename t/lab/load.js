// SPDX-License-Identifier: Apache-2.0
// Sends mixed requests over HTTP/1.1 and HTTP/2, and looks at every answer: is it this user's, and
// to this request? One argument, JSON: port, ca, host, realm, users ([name, password]), paths
// ({delegated: [...], open: [...]}), requests, seconds, http1 and http2 (how many at once).
// Ends when so many requests are answered or so much time has passed, with JSON on stdout.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const http2 = require('http2');
const https = require('https');

const ask = JSON.parse(process.argv[2]);
const ca = fs.readFileSync(ask.ca);
const deadline = Date.now() + ask.seconds * 1000;
const ABORTED = 0.005, POSTED = 0.2, LONG = 0.05;
const bodies = [0, 1, 300, 4000, 40000, 131072, 200000].map((size) => {
    const body = crypto.randomBytes(size);
    return {body, sha1: crypto.createHash('sha1').update(body).digest('hex')};
});
const result = {requests: 0, started: 0, aborted: 0, broken: 0, statuses: {}, mismatches: [],
                mismatched: 0};
let last = 0;

const below = (n) => Math.floor(Math.random() * n);
const pick = (list) => list[below(list.length)];
const over = () => result.requests >= ask.requests || Date.now() > deadline;

// Who asks: mostly users; sometimes nobody, where users are served and where none are.
function invent() {
    const dice = Math.random();
    const id = `${process.pid}-${++last}`;
    const request = {id, who: 'user', method: 'GET', headers: {'x-request-id': id}};
    if (dice < 0.15) {
        request.who = dice < 0.08 ? 'open' : 'anonymous';
    } else {
        [request.user, request.password] = pick(ask.users);
        request.headers.authorization = 'Basic '
            + Buffer.from(`${request.user}:${request.password}`).toString('base64');
    }
    request.path = pick(request.who === 'open' ? ask.paths.open : ask.paths.delegated);
    if (Math.random() < POSTED) {
        request.method = 'POST';
        request.sent = Math.random() < LONG ? pick(bodies) : bodies[below(4)];
        request.headers['content-length'] = request.sent.body.length;
    }
    return request;
}

function mismatch(request, what, status, text) {
    result.mismatched++;
    if (result.mismatches.length < 10) {
        result.mismatches.push({what, status, who: request.who, user: request.user,
                                id: request.id, path: request.path, method: request.method,
                                answer: text.slice(0, 600)});
    }
}

function check(request, status, text) {
    const key = `${request.path} ${request.who} ${status}`;
    result.statuses[key] = (result.statuses[key] || 0) + 1;
    result.requests++;
    const wanted = request.user ? `${request.user}@${ask.realm}` : null;
    if (!text.startsWith('{')) {
        // An error page. It names nobody.
        if (text.includes(`@${ask.realm}`)) mismatch(request, 'a name in a page', status, text);
        if (status === 200 && text) mismatch(request, 'no echo', status, text);
        return;
    }
    let echo;
    try {
        echo = JSON.parse(text);
    } catch (error) {
        return mismatch(request, 'half an answer', status, text);
    }
    const id = echo.headers.find(([name]) => name.toLowerCase() === 'x-request-id');
    if (echo.remote_user !== wanted && status !== 413) {
        mismatch(request, 'wrong user', status, text);
    } else if (echo.remote_user !== null && echo.remote_user !== wanted) {
        mismatch(request, 'wrong user', status, text);
    } else if (!id || id[1] !== request.id) {
        mismatch(request, 'wrong request', status, text);
    } else if (request.sent && status === 200 && (echo.body_sha1 !== request.sent.sha1
               || echo.body_length !== request.sent.body.length)) {
        mismatch(request, 'wrong body', status, text);
    }
}

// The promises are kept whatever happens: with a checked answer, or a note that there was none.
function collect(request, stream, statusOf, abort, done) {
    const pieces = [];
    let status, ended = false;
    const finish = (note) => {
        if (ended) return;
        ended = true;
        clearTimeout(timer);
        if (note) result[note]++; else check(request, status, Buffer.concat(pieces).toString());
        done();
    };
    const timer = setTimeout(() => { finish('broken'); abort(); }, 60000);
    statusOf((code, source) => {
        status = code;
        source.on('data', (piece) => pieces.push(piece));
        source.on('end', () => finish(status && !stream.soakAborted && source.complete !== false
                                      ? null : 'broken'));
        source.on('error', () => finish('broken'));
        source.on('aborted', () => finish('broken'));
    });
    stream.on('error', () => finish('broken'));
    stream.on('close', () => setImmediate(finish, 'broken'));
    if (Math.random() < ABORTED) {
        setTimeout(() => {
            if (ended) return;
            stream.soakAborted = true;
            finish('aborted');
            abort();
        }, below(30));
    }
    result.started++;
    stream.end(request.sent ? request.sent.body : undefined);
}

const agent = new https.Agent({keepAlive: true, maxSockets: ask.http1, ca,
                               servername: ask.host});

function byHttp1(request) {
    return new Promise((done) => {
        const stream = https.request({host: '127.0.0.1', port: ask.port, agent,
                                      method: request.method, path: request.path,
                                      headers: {host: ask.host, ...request.headers}});
        collect(request, stream, (on) => stream.on('response', (answer) =>
            on(answer.statusCode, answer)), () => stream.destroy(), done);
    });
}

class Session {
    connection() {
        if (!this.session || this.session.closed || this.session.destroyed) {
            this.session = http2.connect(`https://${ask.host}:${ask.port}`, {
                ca, servername: ask.host, lookup: (name, options, found) =>
                    options.all ? found(null, [{address: '127.0.0.1', family: 4}])
                        : found(null, '127.0.0.1', 4)});
            const mine = this.session;
            mine.on('error', () => mine.destroy());
            mine.on('goaway', () => mine.close());
        }
        return this.session;
    }

    send(request) {
        return new Promise((done) => {
            let stream;
            try {
                stream = this.connection().request({':method': request.method,
                                                    ':path': request.path, ...request.headers});
            } catch (error) {       // it has just been closed
                this.session.destroy();
                result.broken++;
                return setTimeout(done, 10);
            }
            collect(request, stream, (on) => stream.on('response', (headers) =>
                on(headers[':status'], stream)),
                    () => stream.close(http2.constants.NGHTTP2_CANCEL), done);
        });
    }
}

async function work(send) {
    while (!over()) {
        const broken = result.broken;
        await send(invent());
        if (result.broken !== broken) await new Promise((go) => setTimeout(go, 5));
    }
}

async function main() {
    const sessions = Array.from({length: Math.ceil(ask.http2 / 8)}, () => new Session());
    await Promise.all([
        ...Array.from({length: ask.http1}, () => work(byHttp1)),
        ...Array.from({length: ask.http2}, (_, n) => work((request) =>
            sessions[n % sessions.length].send(request))),
    ]);
    console.log(JSON.stringify(result));
    process.exit(0);
}

main();
