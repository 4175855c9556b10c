import { serving } from "../../../../scripts/acceptance/serving.ts";
import { actOut } from "../../acceptance/act-out.ts";
import { ContainerStage } from "../container-stage.ts";

actOut(serving, { open: () => ContainerStage.open() });
