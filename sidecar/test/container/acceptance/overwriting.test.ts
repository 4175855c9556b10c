import { overwriting } from "../../../../scripts/acceptance/overwriting.ts";
import { actOut } from "../../acceptance/act-out.ts";
import { ContainerStage } from "../container-stage.ts";

actOut(overwriting, { open: () => ContainerStage.open() });
