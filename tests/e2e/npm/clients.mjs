// Asks a running `whetstone serve` through JavaScript clients of other people; check_clients.py
// runs it and compares the scores.
//
//     npm install --ignore-scripts --no-package-lock
//     node clients.mjs CASE
//
// reads {"url", "key", "query", "passages", "top"} on stdin and prints [[index, score], …], or null
// where it checks an error. Versions are in package.json.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

const cases = {
  async cohere_v1({ url, key, query, passages, top }) {
    const { CohereClient } = await import("cohere-ai");
    const client = new CohereClient({ token: key, environment: url });
    const answer = await client.rerank({ model: "any", query, documents: passages, topN: top });
    assert.equal(answer.results[0].document.text, passages[answer.results[0].index]);
    return answer.results.map((hit) => [hit.index, hit.relevanceScore]);
  },

  async cohere_v2({ url, key, query, passages, top }) {
    const { CohereClientV2 } = await import("cohere-ai");
    const client = new CohereClientV2({ token: key, environment: url });
    const answer = await client.rerank({ model: "any", query, documents: passages, topN: top });
    assert.equal(answer.meta.apiVersion.version, "2");
    return answer.results.map((hit) => [hit.index, hit.relevanceScore]);
  },

  async cohere_errors({ url, key, query }) {
    const { CohereClient, CohereClientV2, CohereError } = await import("cohere-ai");
    const refused = async (client) => {
      const error = await client
        .rerank({ model: "any", query, documents: [] })
        .then(() => assert.fail("an empty list was taken"), (error) => error);
      assert.ok(error instanceof CohereError, error);
      return [error.statusCode, error.body.message];
    };
    const message = "`documents` is empty";
    const given = { token: key, environment: url };
    assert.deepEqual(await refused(new CohereClient(given)), [422, message]);
    assert.deepEqual(await refused(new CohereClientV2(given)), [400, message]);
    const stranger = await refused(new CohereClientV2({ token: "wrong", environment: url }));
    assert.equal(stranger[0], 401);
    return null;
  },

  async langchain_cohere({ url, key, query, passages, top }) {
    const { CohereRerank } = await import("@langchain/cohere");
    const { CohereClient } = await import("cohere-ai");
    const client = new CohereClient({ token: key, environment: url });
    const reranker = new CohereRerank({ client, model: "any", topN: top });
    const found = await reranker.rerank(passages, query);
    return found.map((hit) => [hit.index, hit.relevanceScore]);
  },

  async langchain_retriever({ url, key, query, passages, top }) {
    const { CohereRerank } = await import("@langchain/cohere");
    const { CohereClient } = await import("cohere-ai");
    const { MemoryVectorStore } = await import("@langchain/classic/vectorstores/memory");
    const { ContextualCompressionRetriever } = await import(
      "@langchain/classic/retrievers/contextual_compression"
    );
    const { SyntheticEmbeddings } = await import("@langchain/core/utils/testing");
    const store = await MemoryVectorStore.fromTexts(
      passages, passages.map(() => ({})), new SyntheticEmbeddings({ vectorSize: 8 }),
    );
    const client = new CohereClient({ token: key, environment: url });
    const retriever = new ContextualCompressionRetriever({
      baseCompressor: new CohereRerank({ client, model: "any", topN: top }),
      baseRetriever: store.asRetriever(passages.length),
    });
    const found = await retriever.invoke(query);
    return found.map((hit) => [passages.indexOf(hit.pageContent), hit.metadata.relevanceScore]);
  },

  async llama_index_cohere({ url, key, query, passages, top }) {
    const { CohereRerank } = await import("@llamaindex/cohere");
    const reranker = new CohereRerank({ apiKey: key, baseUrl: url, model: "any", topN: top });
    return llamaIndex(reranker, query, passages);
  },

  // Its address is fixed, so the check sends what goes there to the server here.
  async llama_index_jina({ url, key, query, passages, top }) {
    process.env.JINAAI_API_KEY = key;
    const { JinaAIReranker } = await import("llamaindex");
    const real = globalThis.fetch;
    globalThis.fetch = (to, options) =>
      real(String(to).replace("https://api.jina.ai", url), options);
    return llamaIndex(new JinaAIReranker({ model: "any", topN: top }), query, passages);
  },

  async ai_sdk_cohere({ url, key, query, passages, top }) {
    const { rerank } = await import("ai");
    const { createCohere } = await import("@ai-sdk/cohere");
    const model = createCohere({ apiKey: key, baseURL: `${url}/v2` }).reranking("any");
    const { ranking } = await rerank({ model, query, documents: passages, topN: top });
    return ranking.map((hit) => [hit.originalIndex, hit.score]);
  },

  async ai_sdk_cohere_error({ url, key, passages }) {
    const { rerank } = await import("ai");
    const { createCohere } = await import("@ai-sdk/cohere");
    const model = createCohere({ apiKey: key, baseURL: `${url}/v2` }).reranking("any");
    const error = await rerank({ model, query: "", documents: passages })
      .then(() => assert.fail("an empty query was taken"), (error) => error);
    assert.deepEqual([error.statusCode, error.message], [400, "`query` is empty"]);
    return null;
  },
};

async function llamaIndex(reranker, query, passages) {
  const { TextNode } = await import("llamaindex");
  const nodes = passages.map((text) => ({ node: new TextNode({ text }), score: 0 }));
  const found = await reranker.postprocessNodes(nodes, query);
  return found.map((hit) => [passages.indexOf(hit.node.getText()), hit.score]);
}

const asked = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(await cases[process.argv[2]](asked)));
// Some clients keep connections open, which would keep the process alive.
process.exit(0);
