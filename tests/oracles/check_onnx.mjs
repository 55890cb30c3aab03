// Scores golden.json of a model folder with transformers.js on onnxruntime-node, for check_onnx.py.
// Prints a JSON object a line: program, numbers, logits, and the token ids of each pair.
import { AutoModelForSequenceClassification, AutoTokenizer, env } from "@huggingface/transformers";
import { readFileSync, existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";

const folder = process.argv[2];
const golden = JSON.parse(readFileSync(join(folder, "golden.json"), "utf8"));
env.allowRemoteModels = false;
env.localModelPath = dirname(folder);
const name = basename(folder);
const tokenizer = await AutoTokenizer.from_pretrained(name);
// The names that transformers.js has for the files: model.onnx, model_fp16.onnx, model_quantized.onnx.
for (const [numbers, dtype, file] of [["f32", "fp32", "model"], ["f16", "fp16", "model_fp16"], ["int8", "q8", "model_quantized"]]) {
  if (!existsSync(join(folder, "onnx", `${file}.onnx`))) continue;
  const model = await AutoModelForSequenceClassification.from_pretrained(name, { dtype });
  const [logits, ids] = [[], []];
  for (let at = 0; at < golden.pairs.length; at += 5) {
    const pairs = golden.pairs.slice(at, at + 5);
    const inputs = tokenizer(pairs.map((pair) => pair.query), {
      text_pair: pairs.map((pair) => pair.passage), padding: true, truncation: true, max_length: golden.max_seq_tokens,
    });
    const output = await model(inputs);
    logits.push(...Array.from(output.logits.data));
    const isToken = inputs.attention_mask.tolist();
    ids.push(...inputs.input_ids.tolist().map((row, i) => row.filter((_, k) => isToken[i][k] == 1).map(Number)));
  }
  console.log(JSON.stringify({ program: `transformers.js ${env.version}`, numbers, logits, ids }));
}
