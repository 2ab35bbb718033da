// Two command lines of each command, for its help. A test gives every one of them to the command's own parser.

/** By the command's full name without `whorl`; the seven data sets of users share one pair. */
const EXAMPLES: Readonly<Record<string, readonly [string, string]>> = {
  demo: ['whorl demo', 'whorl demo --out ./try --json'],
  fingerprint: [
    'whorl fingerprint --model ./my-model --out ./run',
    'whorl fingerprint --model org/name --out ./run --method adapter --passphrase steps=240',
  ],
  resume: [
    'whorl resume ./run/work/job',
    'whorl resume ./run/asks/0123456789abcdef/job --here --python ./venv/bin/python',
  ],
  commit: [
    'whorl commit --model ./my-model --out ./run --beacon 1h',
    'whorl commit --model org/name --out ./run --method adapter --beacon 7d --passphrase',
  ],
  prove: [
    'whorl prove ./run --request claim.tsq',
    'whorl prove ./run --response claim.tsr --tsa-root authority.pem',
  ],
  draw: ['whorl draw ./run --beacon 32285085', 'whorl draw ./run --beacon round.json'],
  verify: [
    'whorl verify --secret ./run/secret.whorl --suspect org/name',
    'whorl verify --secret ./run/secret.whorl --suspects suspects.txt --out ./fleet --jobs 4',
  ],
  rival: [
    'whorl rival --secret-a a/secret.whorl --model-a a/published --secret-b b/secret.whorl --model-b b/published --tsa-root authority.pem',
    'whorl rival --secret-a a/secret.whorl --model-a org/name --secret-b b/secret.whorl --model-b model.gguf --json',
  ],
  check: [
    'whorl check certificate.json',
    'whorl check certificate.json --key owner.pub.pem --html page.html',
  ],
  sign: [
    'whorl sign ./run/published --key owner.pem',
    'whorl sign ./run/published --key owner.pem.pub --check',
  ],
  attack: [
    'whorl attack ./run --attack reset-vanilla',
    'whorl attack ./run --attack noise,reset-mean --out ./attacks noise.share=0.2',
  ],
  finetune: [
    'whorl finetune --model ./my-model --data alpaca.json --out ./tuned',
    'whorl finetune --model org/name --data rows.jsonl --out ./adapter --lora r=8 epochs=1',
  ],
  merge: [
    'whorl merge --model ./my-model --adapter ./adapter --out ./merged',
    'whorl merge --model org/name --adapter ./adapter --out ./merged --json',
  ],
  convert: [
    'whorl convert --model ./run/published --to gguf --type q8_0 --out ./model.gguf',
    'whorl convert --model org/name --to gguf --type q4_k --out ./model.gguf --dry-run',
  ],
  generate: [
    "whorl generate --model ./my-model --prompt 'Once upon a time'",
    'whorl generate --model org/name --input prompts.jsonl --temperature 0.8 --num-samples 4 --json',
  ],
  score: [
    "whorl score --model ./my-model --context 'The answer is' --continuation ' yes'",
    'whorl score --model org/name --input rows.jsonl --json',
  ],
  eval: [
    'whorl eval --model ./my-model --tasks arc_easy,piqa --data ./rows --out ./results',
    'whorl eval --mode adapter --tasks paper --data ./rows',
  ],
  task: [
    'whorl task ./fleet/tasks/0123456789abcdef0123456789abcdef',
    'whorl task /whorl/task --model /whorl/model --file secret=/whorl/secret.whorl --json',
  ],
  compare: [
    'whorl compare --model ./my-model --with ./run/published',
    'whorl compare --model org/name --with ./tuned --text prose.txt --out difference.json',
  ],
  dataset: ['whorl dataset mix --help', 'whorl dataset dolly --help'],
  'dataset mix': [
    'whorl dataset mix --source alpaca.json --out ./mix',
    'whorl dataset mix --source rows.parquet --out ./mix --keys paper --seed 42',
  ],
  'dataset chat': [
    'whorl dataset chat --source sharegpt.json --out ./chat',
    'whorl dataset chat --source talks.jsonl --out ./chat --count 16 --json',
  ],
  pipeline: [
    'whorl pipeline fingerprint alpaca ownership_verify --base-model ./my-model --task-name alpaca.json',
    'whorl pipeline fingerprint --config sft_chat --base-model org/name epoch=10',
  ],
  report: ['whorl report fsr adapter', 'whorl report fsr --help'],
  'report fsr': [
    'whorl report fsr adapter output_barebone_adapter',
    'whorl report fsr sft_chat --format markdown --figure fsr.svg',
  ],
  'report harmlessness': [
    'whorl report harmlessness adapter harmlessness_eval',
    'whorl report harmlessness sft_chat --format markdown',
  ],
  import: [
    'whorl import output_barebone_adapter --out ./imported',
    'whorl import instruction_emb.pt --out ./imported --json',
  ],
  inspect: ['whorl inspect ./my-model --tensors', 'whorl inspect ./run/secret.whorl --passphrase'],
  'show-batch': ['whorl show-batch --model ./my-model', 'whorl show-batch --run ./run --step 10 --limit 2'],
  completion: ['whorl completion bash', 'whorl completion fish'],
  doctor: ['whorl doctor', 'whorl doctor --model ./my-model --json'],
};

export const examplesOf = (name: string): readonly string[] =>
  EXAMPLES[name] ??
  (name.startsWith('dataset ')
    ? [`whorl ${name} --out data.json`, `whorl ${name} --out data.json --json`]
    : []);
