// A client whose types are generated from the document that an edge serves. `tsc` refuses it
// if the document describes anything otherwise; run, it prints as JSON what it got.
import createClient from "openapi-fetch";
import type { paths } from "./schema.d.ts";

const [url, ...users] = process.argv.slice(2);
const client = createClient<paths, "application/json">({ baseUrl: url });

const some = await client.GET("/prices", { params: { query: { tokens: ["stx", ".stx"] } } });
const cursor = some.response.headers.get("Feed-Cursor") ?? "";
const since = await client.GET("/prices", { params: { query: { since: cursor } } });
const wrong = await client.GET("/prices", { params: { query: { since: "nonsense" } } });
const held = await client.GET("/balances", { params: { query: { users } } });
const refreshed = await client.POST("/prices");
const room = await client.GET("/parties/prices/{room}", { params: { path: { room: "a b" } } });

const ids: string[] = some.data?.prices.map((price) => price.contractId) ?? [];
const recovered: boolean | undefined =
  since.data !== undefined && "recovered" in since.data ? since.data.recovered : undefined;
const error: string | undefined = wrong.error?.error;
console.log(
  JSON.stringify({
    some: ids,
    recovered,
    error,
    users: [...new Set(held.data?.balances.map((balance) => balance.userId))].sort(),
    refreshed: refreshed.data?.status,
    room: room.data?.party,
  }),
);
