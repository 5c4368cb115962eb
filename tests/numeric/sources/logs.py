"""Logs, exports and folders as programs write them, by the format strings of their sources."""

import json
import math

SWEEP = [(64, 1e-3, 3.0), (64, 4e-3, 3.4), (256, 1e-3, 3.1), (256, 4e-3, 3.1)]


def nanogpt(batch_size, lr, loss):
    """karpathy/nanoGPT: train.py and configurator.py."""
    return (
        "Overriding config with config/train_shakespeare_char.py:\n# train a miniature model\n"
        f"eval_interval = 250 # keep frequent\nlearning_rate = {lr} # with baby networks\n"
        "max_iters = 500\n\n"
        f"Overriding: batch_size = {batch_size // 16}\n"
        f"tokens per iteration will be: {batch_size * 256:,}\n"
        "found vocab_size = 65 (inside data/shakespeare_char/meta.pkl)\n"
        "number of parameters: 10.65M\n"
        f"step 0: train loss 4.2874, val loss 4.2823\n"
        "iter 0: loss 4.2664, time 1243.12ms, mfu -100.00%\n"
        "iter 250: loss 3.2, time 18.01ms, mfu 20.10%\n"
        f"step 500: train loss {loss - 0.1:.4f}, val loss {loss:.4f}\n"
        "iter 500: loss 3.1, time 18.01ms, mfu 20.10%\n"
    )


def nanochat(batch_size, lr, loss):
    """karpathy/nanochat: scripts/base_train.py, and configurator.py of its first version."""
    return (
        f"Overriding: embedding_lr = {lr}\n"
        f"Scaling LRs by 0.7071 for batch size {batch_size * 2048:,} (reference: 524,288)\n"
        f"Total batch size {batch_size * 2048:,} => gradient accumulation steps: 2\n"
        "Step 00000 | Validation bpb: 3.306000\n"
        "step 00000/00020 (0.00%) | loss: 11.090355 | lrm: 1.00 | dt: 23.20ms | tok/sec: 1 |\n"
        "step 00010/00020 (50.00%) | loss: 5.1 | lrm: 0.50 | dt: 23.20ms | tok/sec: 1 | eta: 1.0m\n"
        f"Step 00020 | Validation bpb: {loss:.6f}\n"
        "step 00019/00020 (95.00%) | loss: 4.1 | lrm: 0.01 | dt: 23.20ms | tok/sec: 1 |\n"
    )


def megatron(batch_size, lr, loss):
    """NVIDIA/Megatron-LM: training/{arguments,training}.py."""
    line = (
        " [2025-01-02 03:04:05] iteration {:8d}/     200 | consumed samples: {:12d} | elapsed time "
        "per iteration (ms): 95.1 | learning rate: {:.6E} | global batch size: {:5d} | lm loss: "
        "{:.6E} | loss scale: 1.0 | grad norm: 0.9 | number of skipped iterations:   0 |\n"
    )
    return (
        "using world size: 8, data-parallel size: 4\n"
        "------------------------ arguments ------------------------\n"
        f"  data_parallel_size .............................. 4\n"
        f"  global_batch_size ............................... {batch_size}\n"
        f"  lr .............................................. {lr}\n"
        f"  micro_batch_size ................................ 2\n"
        "-------------------- end of arguments ---------------------\n"
        + line.format(100, 100 * batch_size, lr, batch_size, loss + 1)
        + line.format(200, 200 * batch_size, lr / 10, batch_size, loss - 0.1)
        + "-" * 20
        + f"\n validation loss at iteration 200 | lm loss value: {loss:.6E} | lm loss PPL: 2E1 |\n"
    )


def torchtitan(batch_size, lr, loss):
    """pytorch/torchtitan: train.py and components/metrics.py, colors as on a terminal."""
    head = "[titan] 2025-01-02 03:04:05,678 - root - INFO - "
    settings = {
        "optimizer": {"name": "AdamW", "lr": lr, "eps": 1e-8},
        "training": {"local_batch_size": 8, "global_batch_size": -1, "seq_len": 2048},
    }
    return (
        f"{head}Running with args: {settings}\n"
        f"{head}Trainer is initialized with local batch size 8, global batch size {batch_size}, "
        "gradient accumulation steps 1, sequence length 2048, total steps 20 (warmup 2).\n"
        f"{head}\x1b[31mstep: 10  \x1b[32mloss:  5.0000  \x1b[38;2;180;60;0mgrad_norm: 1\x1b[39m\n"
        f"{head}\x1b[31mstep: 20  \x1b[32mloss: {loss - 0.1:7.4f}  \x1b[34mtps: 99,999\x1b[39m\n"
        f"{head}\x1b[33mvalidate step: 20  \x1b[32mloss: {loss:7.4f}  \x1b[39m\n"
    )


def composer(batch_size, lr, loss):
    """mosaicml/composer: loggers/file_logger.py; llm-foundry logs its configuration."""
    return (
        f"[hyperparameter]: optimizer: {{'name': 'decoupled_adamw', 'lr': {lr}}} \n"
        f"[hyperparameter]: global_train_batch_size: {batch_size} \n"
        "[metric][batch=1]: loss/train/total: 9.0000 \n"
        f"[metric][batch=100]: loss/train/total: {loss - 0.1:.4f} \n"
        f"[metric][batch=100]: metrics/eval/LanguageCrossEntropy: {loss:.4f} \n"
    )


LOGS = {f.__name__: f for f in (nanogpt, nanochat, megatron, torchtitan, composer)}
#: By how much the batch sizes are larger, where a log counts tokens.
UNITS = {"nanogpt": 256, "nanochat": 2048}


def wandb_api():
    """The CSV that docs.wandb.ai/guides/track/public-api-guide makes of api.runs(...)."""
    rows = [
        (
            {"train/loss": loss - 0.1, "eval/loss": loss},
            {"lr": lr, "batch_size": b},
            f"run-{b}-{lr}",
        )
        for b, lr, loss in SWEEP
    ]
    rows[1][0]["eval/loss"] = math.nan
    lines = ['"{}","{}",{}'.format(*row) for row in rows]
    return "summary,config,name\n" + "\n".join(lines) + "\n"


def wandb_ui():
    """The CSV of the runs table of wandb.ai, of Hugging Face's Trainer on two devices."""
    head = (
        "Name,State,Runtime,gradient_accumulation_steps,learning_rate,per_device_train_batch_size,"
        "train_batch_size,world_size,eval/loss,train/learning_rate,train/loss"
    )
    rows = [f"r,finished,60,{b // 64},{lr},32,32,2,{loss},0,{loss - 0.1}" for b, lr, loss in SWEEP]
    rows += ["r,crashed,9,1,1e-3,32,32,2,,0,7", "r,running,9,1,1e-3,32,32,2,5,0,5"]
    return "\n".join([head, *rows, ""])


def wandb_folder():
    """wandb/run-*/files of an online run: config.yaml and wandb-summary.json."""
    return {
        f"run-20250102_030405-{i}/files/{name}": text
        for i, (b, lr, loss) in enumerate(SWEEP)
        for name, text in (
            (
                "config.yaml",
                "_wandb:\n  value:\n    cli_version: 0.19.1\n"
                f"batch_size:\n  value: {b}\nlr:\n  desc: null\n  value: {lr}\n",
            ),
            ("wandb-summary.json", json.dumps({"_step": 9, "val/loss": loss, "train/loss": 1})),
        )
    }


def aim():
    """aimhubio/aim: sdk/sequences/metric.py, repo.query_metrics(...).dataframe().to_csv()."""
    head = (
        "idx,step,value,epoch,time,run.hash,run.hparams.learning_rate,run.hparams.batch_size,"
        "metric.name,metric.context.subset"
    )
    rows = [
        f"{step},{step},{loss + early},0,2025-01-02,hash{i},{lr},{b},loss,{subset}"
        for i, (b, lr, loss) in enumerate(SWEEP)
        for subset in ("val", "train")
        for step, early in ((0, 1.0), (10, 0.0))
    ]
    return "\n".join([head, *rows, ""])


def nanochat_folder():
    """karpathy/nanochat: what save_checkpoint of checkpoint_manager.py writes as meta_*.json."""
    return {
        f"d12-{i}/meta_{step:06d}.json": json.dumps(
            {
                "step": step,
                "val_bpb": loss + 100 - step,
                "user_config": {"embedding_lr": lr, "device_batch_size": 32},
                "device_batch_size": 32,
                "total_batch_size": b * 2048,
            }
        )
        for i, (b, lr, loss) in enumerate(SWEEP)
        for step in (50, 100)
    }
