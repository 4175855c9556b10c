import { logs } from "../../../../scripts/acceptance/logs.ts";
import { actOut } from "../../acceptance/act-out.ts";
import { ContainerStage } from "../container-stage.ts";

actOut(logs, { open: () => ContainerStage.open() });
