import { changes } from "../../../../scripts/acceptance/changes.ts";
import { actOut } from "../../acceptance/act-out.ts";
import { ContainerStage } from "../container-stage.ts";

actOut(changes, { open: () => ContainerStage.open() });
