// A proxy as many Node applications have one: middleware that compresses every answer.
// node proxy.js EDGE_PORT; prints the port on which it listens.
const express = require("express");
const compression = require("compression");
const { createProxyMiddleware } = require("http-proxy-middleware");

const target = `http://127.0.0.1:${process.argv[2]}`;
const app = express();
app.use(compression());
app.use(createProxyMiddleware({ target, ws: true }));
const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port));
