// Low-rank maps on the input embedding: what is trained is what the merged folder computes, the tied head included; only
// tokens that are looked up learn.

import { expect, test } from 'vitest';
import { VANILLA } from '../../src/models/overlay.ts';
import type { Model } from '../../src/models/model.ts';
import { ADAMW } from '../../src/train/optimiser.ts';
import type { TrainState } from '../../src/train/step.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { bindTrains, EVERYTHING, lowRank, type Trains } from '../../src/train/trains.ts';
import { openGolden } from '../models/golden-model.ts';
